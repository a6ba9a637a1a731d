// Package test has the tests that meet the Linux kernel: programs on a stack over TAP in one network namespace that the
// test makes, the kernel and its programs at the other end of the link.
//
//	curl, wrk, ping, Chromium, Go's net ─► kernel in namespace fst-it-… ─► TAP ─► bin/http or test/server
//
// A test needs root and /dev/net/tun, and says so if it skips. What it starts, it ends, and checks that nothing is left.
package test
