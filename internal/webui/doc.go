// Package webui is what the team's page and the hub's console have in common:
// they speak to a browser, in the reader's language, and must be safe from
// every other page that the same browser has open.
//
// A server on loopback is not private. Any web page can send requests to
// 127.0.0.1, and a name that the page's owner points at 127.0.0.1 (DNS
// rebinding) lets it read the answers too. So a request is served only when its
// Host is on an exact list, when its reader proved to know a secret made at
// this launch, and, if it changes something, when it comes from the page
// itself. Reading never changes anything: GET is for looking.
//
// Pages are rendered on the server. A small script listens for "something
// changed", fetches the same page again and swaps the parts that differ; it
// carries no state, so a page that missed ten changes is right after one
// refresh. A page that hears nothing says so and names the time it shows:
// silence never looks like all is well.
//
//   - [Guard] decides who may speak to a handler. [Refusal] is how a request,
//     or a record, is turned down: code, what, which, do.
//   - [Bell] tells listeners that something changed; [Stream] carries that to
//     browsers as server-sent events.
//   - [Catalogues] hold every string in every language; [Words] are one
//     language's, with its plurals, times and spans.
//   - [Assets] serves style sheets, scripts and pictures under the hash of
//     their content.
//   - [NewServer] is an http.Server with limits that fit both programs.
package webui
