package main

// sysGetrandom is missing in the standard library's table for this architecture.
const sysGetrandom = 318
