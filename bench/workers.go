package main

import (
	"encoding/json"
	"fmt"

	"github.com/fstack-go/fstack/internal/hugepages"
)

const (
	workersMB = 96 // memory of a server of several processes
	handMB    = 64
)

// crossed is the share of what a port of n workers received that one worker handed to another.
func (p *process) crossed(n int) float64 {
	received := p.counted(`"port 0"`, "RxPackets") / uint64(n) // each tells the port's
	return float64(p.counted(`"port 0"`, "HandedOut")) / float64(max(received, 1))
}

// hand runs the program of that name.
func (b *bench) hand(r *row) (res result, err error) {
	back, err := hugepages.Reserve(handMB)
	if err != nil {
		return res, err
	}
	defer back()
	cmd := b.onOneCPU("hand", append(r.args, "-time", b.span.String())...)
	cmd.Env = nil // it has a loop for each CPU
	out, err := b.output(cmd)
	if err != nil {
		return res, err
	}
	return parseHand(out)
}

// parseHand reads the line of JSON that hand prints.
func parseHand(out string) (r result, err error) {
	var says struct {
		Nanos float64 `json:"ns_per_packet"`
		Share float64 `json:"cpu_share"`
	}
	if err := json.Unmarshal([]byte(out), &says); err != nil {
		return r, fmt.Errorf("hand: %w in %q", err, out)
	}
	r.Nanos = says.Nanos
	if says.Share < .9 {
		r.Errors = fmt.Sprintf("(others had the CPU for %.0f %% of the time)", 100*(1-says.Share))
	}
	return r, nil
}
