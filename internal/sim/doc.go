// Package sim runs a small world of devices and a hub on chance, and looks for
// a broken promise.
//
// What runs is the real thing: agent/store on Badger, agent/capture,
// agent/uplink, hub/ingest, hub/contact, hub/store/sqlite. What is simulated is
// everything around it: the network between them, the stream that keeps frames
// in custody, the clocks, crashes, and people. Time is virtual
// (testing/synctest), so an hour of waiting costs nothing and no timer is
// hurried.
//
// One seed decides a run. Every actor draws from dice of its own, made from the
// seed and the actor's name, and no two events fall on the same nanosecond by
// design, so that the order in which goroutines happen to run decides nothing.
// A run leaves a digest of all that happened; the same seed gives the same one.
//
// # What goes wrong
//
// Frames, acknowledgements, hellos and receipts get lost, arrive twice, late or
// in another order; connections break with frames under way, or stay up and
// carry nothing; the stream refuses, redelivers, or loses all it held. Devices
// crash between commits and in the middle of one (the log is cut at any byte
// after the last synced commit, the unsynced tails file is any older one); the
// hub crashes before a commit, after it, and between receipt and
// acknowledgement, or its database is away for a while, or is put back to an
// older copy. Clocks are wrong by up to ten years, drift, and jump. Devices
// carry frames of others, and copies of old frames turn up late. Strangers send
// garbage, forgeries and tampered frames, and an enrolled device breaks every
// rule that it can.
//
// # What must hold
//
// After each step: receipts never ahead of what the hub committed, on either
// side; watermarks only rise; one row a dot; what was acknowledged is there
// after each restart. While frames are sent: no record before an alert that
// could go. When all is calm again and everybody is connected, within a bound:
// each acknowledged entry is in the ledger exactly once, as it was captured;
// no hole, no fork, equal heads on both sides; verdicts as expected and the
// same when judged again; nothing that nobody vouches for in any lane, and
// nothing genuine set aside.
//
// A simulator that cannot fail shows nothing: [Control] breaks a promise on
// purpose, and the tests ask that it is found out. A run that did too little
// ([Work.Least]) does not count, and many of them are a failure.
//
//   - [Run] is one seed's run, [Config] and [Report] what goes in and comes out.
//   - [Work] counts what happened.
//
// The command campaign, below this folder, runs many seeds and keeps the log.
package sim
