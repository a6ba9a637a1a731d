package nic

// Command is a line to the guest: run a program to its end, start one and leave it running, or signal one that was started.
type Command struct {
	Run    []string `json:",omitempty"`
	Start  []string `json:",omitempty"`
	Signal string   `json:",omitempty"` // which was started: the base name of its program
	With   int      `json:",omitempty"` // the signal's number; 0: wait for its end
}

// Result is the guest's answer.
type Result struct {
	Code  int    // exit status
	Out   string // of Run: standard output and error; of Start: the process id
	Error string `json:",omitempty"`
}
