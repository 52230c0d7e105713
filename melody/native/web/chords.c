// The chords of a take, which the page draws as soon as a reader knows key and meter (`Chords` in core/reader.h).
#include "../core/reader.h"

typedef int (*DrawChords)(const Moment *moment, Chords *chords);

__attribute__((import_module("page"), import_name("draw_chords"))) int page_draw_chords(const Moment *moment,
                                                                                        Chords *chords);

static int draw_chords(const Moment *moment, Chords *chords) { return page_draw_chords(moment, chords); }

EXPORT DrawChords chords_function(void) { return draw_chords; }
