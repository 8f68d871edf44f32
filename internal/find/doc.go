// Package find says by what words records and entities are found, and keeps the
// numbers of persons out of them.
//
// A text is found by any part of it that has two letters: its words are its pairs of
// neighbouring letters, without regard to case and width. That serves languages that
// put no blanks between words (Chinese) and those that put much at their end
// (Mongolian) alike, and asks for no dictionary. An index by such words gives
// candidates; [Query.Matches] tells those that are meant.
//
// Numbers of persons are another matter. Whoever may search for "139" and then for
// "1390" reads a telephone number digit by digit, without being shown it. So what a
// pack masks, and whatever in a text looks like such a number, is no part of the text:
// it is found whole or not at all, see [Numbers], and by those alone who may see it.
//
//   - [Pairs] are the words of a text, [Numbers] the whole numbers in it.
//   - [Hide] is a text as it is shown: its numbers down to their ends.
//   - [Read] takes apart what somebody typed; [Query] is that.
//   - [Record] gives what is to be found of a record, [MaskOf] how an answer is shown.
package find
