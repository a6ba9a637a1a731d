package control

import "time"

// The commands that a running program knows.
const (
	CommandStatus  = "status"  // answers with a Status
	CommandReload  = "reload"  // reads the config file again, and changes what can change at run time
	CommandUpgrade = "upgrade" // starts the binary's present version beside the old one, which drains
	CommandStop    = "stop"    // ends the program, as SIGTERM does
)

// Commands are all of them, in the order of a help text.
var Commands = []string{CommandStatus, CommandReload, CommandUpgrade, CommandStop}

// Request is what a client asks for.
type Request struct {
	Command string `json:"command"`
}

// Reply is one line of an answer; the last one has End.
type Reply struct {
	Line   string  `json:"line,omitempty"` // news for a reader
	End    bool    `json:"end,omitempty"`
	Error  string  `json:"error,omitempty"` // why the command failed
	Status *Status `json:"status,omitempty"`
}

// Status is what runs under a file prefix.
type Status struct {
	PID        int       `json:"pid"` // of the supervisor, or of the only process
	Since      time.Time `json:"since"`
	Version    string    `json:"version"` // of the module
	DPDK       string    `json:"dpdk"`
	Prefix     string    `json:"file_prefix"`
	Config     string    `json:"config"`     // name of the config file
	Generation int       `json:"generation"` // 0, and one more with each upgrade
	Workers    []Worker  `json:"workers"`    // by slot; in a program of one process, that one
}

// The states of a worker.
const (
	StateStarting = "starting"   // its process is on the way up
	StateServing  = "serving"    //
	StateDraining = "draining"   // of an old generation: it serves the connections that it has
	StateRestart  = "restarting" // it died, and is started again after a pause
	StateDone     = "done"       // its application has returned
)

// Worker is one process that serves.
type Worker struct {
	Slot       int       `json:"slot"`
	Index      int       `json:"index"` // its place among the lcores, and its queue's number
	Lcore      int       `json:"lcore"`
	CPU        int       `json:"cpu"`
	PID        int       `json:"pid"` // 0: none at the moment
	State      string    `json:"state"`
	Restarts   int       `json:"restarts"`
	Since      time.Time `json:"since"` // of the state
	Generation int       `json:"generation"`
	Version    string    `json:"version"`
	Pinned     bool      `json:"pinned"` // whether all of its threads are tied to CPU
	Queues     []Queue   `json:"queues"`
	MbufsInUse int       `json:"mbufs_in_use"`
	MbufsTotal int       `json:"mbufs_total"`
	Error      string    `json:"error,omitempty"` // why it ended last
}

// Queue is how a worker reaches a port.
type Queue struct {
	Port  int    `json:"port"`
	Queue int    `json:"queue"` // -1: none, see Via
	Via   string `json:"via,omitempty"`
}
