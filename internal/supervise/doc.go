// Package supervise starts worker processes and notices at once when one ends.
//
//	supervisor ─► Start ─► the same program again, with Part in its environment ─► Inherited ─► worker
//	           ◄────────── Link: a socket pair, Messages as JSON lines, EOF when either end dies ──────────►
//
// A worker inherits, by number: the socket (3), the config file's text (4), and eventfds, one for each slot (from 5).
// All are closed on exec in it, so a program that it starts keeps none of them open; and its environment is cleaned.
//
// A RunDir is what is known of a file prefix beyond the life of a process: locks, that the kernel lets go when their
// owner dies. With them a new start tells a crashed run, whose files it may remove, from one that serves on without its
// supervisor, whose files it must not touch.
//
// What workers do, what the messages mean and when a worker is started again is for the caller; so is DPDK.
package supervise
