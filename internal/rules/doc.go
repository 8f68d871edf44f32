// Package rules works out what a pack's rules.toml says: values that follow from
// others, and what is to be noticed about a record beyond its form.
//
// Rules are expressions in CEL (cel.dev), written by an office and not by a
// programmer, so they cannot do harm: they read and compute, they end (what an
// expression may cost is estimated when it is loaded and limited when it runs),
// and one that fails for a record says so and stops nothing.
//
// An expression sees entities through the book: book.entity('household', id)
// gives an entity's fields by name, book.one('herd', 'species', 'goat') the first
// whose field has a value, book.sum('herd', 'household', id, 'count') adds a field
// up over those whose field has a value. Derived fields are fields like others.
// Types and fields in these calls are quoted words, so that it is known before
// anything runs what depends on what, and a circle is refused.
//
// Numbers are doubles: write 1.0, not 1. A field without a value is null.
//
//   - [Set] holds compiled rules; [Source] is what they are compiled from and
//     [Fault] what is wrong with one.
//   - [Reader] is where entities are read, [Set.Derive] gives an entity's derived
//     values.
//   - [Record] is one record as rules see it; [Set.Notice] gives its [Mark]s (what
//     it counts for, by business keys) and [Remark]s (flags and reviews).
//   - [Fold] finds the duplicates and twins among the marks of one key.
//   - [GCJ02] and [Metres] are the geometry that rules ask for.
//
// The package is pure: no I/O, no clock, no goroutine.
package rules
