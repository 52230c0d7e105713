"""The benchmark JSB-16: four voices of Bach on a grid of sixteenths."""
