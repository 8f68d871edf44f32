package batch

// Unpack lets tests reach the body behind the heads that pin it.
var Unpack = unpack
