// Package merge decides what becomes of one entity when people change it
// without knowing of each other.
//
// An entity (a household, a person, a stock item) is a set of registers, one
// for each field or atomic group of fields. A register holds its surviving
// values: those that no other surviving write had seen. Each value keeps the
// dot of the entry that wrote it, its logical time, and the context in which it
// was written: the version vector of what its writer had in view. Beside the
// registers stands what the entity has seen: the dots that were disposed of
// here, whatever became of them. It never takes contexts in, because a context
// may name a dot that has not arrived yet.
//
// A write is superseded when a surviving value's context contains its dot.
// Otherwise it removes the values whose dots its own context contains, and
// stays (law L10). So the outcome depends on who had seen what and on nothing
// else: lanes may overtake each other and devices may come home in any order.
// Clocks break ties between values that a rule would have equal, and do no more.
//
// How several surviving values become one to show is a [Rule] of the pack.
// Nothing of a rule is in the state, so a hub and a device with different
// versions of a pack still hold the same bytes.
//
//   - [State] is one entity; [State.Apply] takes in what an entry says of it,
//     [State.Dispose] an entry that changes nothing, [State.Encode] and [Decode]
//     are its bytes.
//   - [Change] is what one entry does to one entity, [Write] one register of it;
//     [Changes] reads them from an entry.
//   - [Value] is one surviving value, [Tally] the sum of a count's movements.
//   - [Type] and [Field] say by which [Rule] a field of an entity is shown;
//     [State.View] gives a [View] with one [Shown] for each register.
//   - [State.Answer] makes the write of a person who had the state in view.
//
// # Names of registers
//
// A field is a register of its name; a group's members are one register, named
// like the group, whose value is a map. An element of a set is a register named
// "field/element" with the value true or false. [Deleted] is the register that
// says whether the entity was deleted. Names of fields and groups have no slash.
package merge
