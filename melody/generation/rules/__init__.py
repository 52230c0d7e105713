"""Musical rules as masks on logits."""
