package dpdk

import "fmt"

// Mode is how a queue pair of a shared port receives and sends.
type Mode struct {
	via   bool
	queue int
	slot  int
}

// Direct is the mode of a queue pair that polls a queue of the device.
func Direct(queue int) Mode { return Mode{queue: queue} }

// Via is the mode of a queue pair for which another slot receives and sends: frames come and go by ring.
func Via(slot int) Mode { return Mode{via: true, slot: slot} }

// Queue is the queue that is polled, -1 if none is.
func (m Mode) Queue() int {
	if m.via {
		return -1
	}
	return m.queue
}

// Via is the slot that receives and sends, -1 if the queue pair does so itself.
func (m Mode) Via() int {
	if m.via {
		return m.slot
	}
	return -1
}

// String reads as "queue 1" or "by way of slot 4".
func (m Mode) String() string {
	if m.via {
		return fmt.Sprintf("by way of slot %d", m.slot)
	}
	return fmt.Sprintf("queue %d", m.queue)
}

// MeshConfig says how many processes share the ports.
type MeshConfig struct {
	Slots    int // processes, or loops, that can be there at the same time, each known by its slot from 0 on; at most 128
	RingSize int // words of each ring, a power of two; 0: 1024
}

// Reclaimed is what Mesh.Reclaim found.
type Reclaimed struct {
	Returned  int  // mbufs of other slots that went back to them
	Swept     int  // mbufs of the slot's own pools that were out and are free again
	Kept      int  // mbufs of its own pools that other slots or the device still have, rightly
	InDriver  bool // the process ended inside a driver's code
	Restarted int  // ports whose device was started anew, because the driver may have left its tables half written
}

// RSS is how a device spreads received packets over its queues.
type RSS struct {
	Key  []byte   // Toeplitz key
	RETA []uint16 // queue of each bucket; a packet's bucket is its hash modulo their number
	// What is hashed by its addresses and ports.
	TCP4, TCP6, UDP4, UDP6 bool
	// Trusted says that all of this was read from a device that does it itself. If not, Why says what is missing.
	Trusted bool
	Why     string
}
