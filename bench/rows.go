package main

import (
	"os"
	"path/filepath"
	"strings"
)

// system is a stack and the link to it.
type system struct {
	name string
	tcp  string // [stack] tcp; empty: the kernel's stack
	link string // "veth", "TAP" or "virtio"
}

var systems = []*system{
	{"kernel, veth", "", "veth"},
	{"tcp=netstack, TAP", "netstack", "TAP"},
	{"tcp=fstack, TAP", "fstack", "TAP"},
	{"tcp=netstack, virtio", "netstack", "virtio"},
	{"tcp=fstack, virtio", "fstack", "virtio"},
}

// load is a program and a way to ask it.
type load struct {
	name    string
	program string
	port    int
	connect bool // a connection for each request
}

var loads = []load{
	{"net/http, keep-alive", "server", 80, false},
	{"conn loop, keep-alive", "server", 81, false},
	{"conn loop, connect each", "server", 81, true},
	{"epoll, keep-alive", "epoll", 80, false},
	{"epoll, connect each", "epoll", 80, true},
}

// row is one line of the table.
type row struct {
	system  *system
	load    load
	results []result
	skipped string // why it could not be measured
}

// rows are the lines of the table: systems stand, and are measured, next to each other.
func (b *bench) rows() (rows []*row) {
	for _, l := range loads {
		for _, s := range systems {
			r := &row{system: s, load: l}
			switch {
			case !b.only.MatchString(l.name + ", " + s.name):
				continue
			case s.tcp == "" && l.program == "epoll":
				continue // posix is for this stack
			case s.link == "virtio" && !freeHugepages():
				r.skipped = "no free hugepages: reserve some with dpdk-hugepages.py --setup 512M"
			}
			rows = append(rows, r)
		}
	}
	return rows
}

// freeHugepages tells whether any are free: virtio_user shares its memory with the other side, and needs them.
func freeHugepages() bool {
	files, _ := filepath.Glob("/sys/kernel/mm/hugepages/*/free_hugepages")
	for _, f := range files {
		if b, err := os.ReadFile(f); err == nil && strings.TrimSpace(string(b)) != "0" {
			return true
		}
	}
	return false
}
