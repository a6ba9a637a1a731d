//go:build nodpdk

package dpdk

import (
	"errors"
	"fmt"
	"net"
	"os"

	"github.com/fstack-go/fstack/stack"
)

// errStub is what everything returns in a build without DPDK.
var errStub = fmt.Errorf("built without DPDK (tag nodpdk): %w", errors.ErrUnsupported)

// Version is that of the DPDK libraries in use: none.
func Version() string { return "none" }

// Init starts EAL.
func Init(Config) error { return errStub }

// Cleanup has nothing to give back.
func Cleanup() error { return nil }

// Forget removes the files of a secondary process that was killed.
func Forget(int) error { return errStub }

// LcoreSocket is the NUMA node of an lcore.
func LcoreSocket(int) int { return -1 }

// AddressSpace is where shared memory lies: there is none.
func AddressSpace() (from, to uintptr) { return 0, 0 }

// AddVdev plugs in a virtual device.
func AddVdev(string, string, *os.File) ([]int, error) { return nil, errStub }

// RemoveVdev unplugs a virtual device.
func RemoveVdev(string) error { return errStub }

// Ports are the ports that EAL knows: none.
func Ports() []int { return nil }

// Port is a started port: there is none.
type Port struct{ _ [0]func() }

// OpenPort sets a port up.
func OpenPort(PortConfig) (*Port, error) { return nil, errStub }

// ID is DPDK's number of the port.
func (p *Port) ID() int { return NoPort }

// MAC is the port's Ethernet address.
func (p *Port) MAC() net.HardwareAddr { return nil }

// MTU is the largest IP packet in bytes.
func (p *Port) MTU() int { return 0 }

// Queues is the number of queue pairs.
func (p *Port) Queues() int { return 0 }

// Driver is the name of the driver.
func (p *Port) Driver() string { return "" }

// Name is the name of the device.
func (p *Port) Name() string { return "" }

// LinkStatus asks the device for its link.
func (p *Port) LinkStatus() (Link, error) { return Link{}, errStub }

// Stats reads the device's basic statistics.
func (p *Port) Stats() (Stats, error) { return Stats{}, errStub }

// XStats reads the device's extended statistics.
func (p *Port) XStats() ([]XStat, error) { return nil, errStub }

// Mbufs counts the mbufs in use.
func (p *Port) Mbufs() (inUse, total int) { return 0, 0 }

// Close stops the port.
func (p *Port) Close() error { return errStub }

// QueuePair is one receive and one transmit queue of a port: there is none.
type QueuePair struct{ queue stack.Queue }

var (
	_ stack.Device  = (*QueuePair)(nil)
	_ stack.Sleeper = (*QueuePair)(nil)
	_ stack.Hander  = (*QueuePair)(nil)
)

// QueuePair is the device of a loop.
func (p *Port) QueuePair(int) (*QueuePair, error) { return nil, errStub }

// SlotQueue is the device of the loop that is a slot.
func (p *Port) SlotQueue(int, Mode) (*QueuePair, error) { return nil, errStub }

// MakeSlotPool makes the memory that a slot needs for sending by way of another one.
func (p *Port) MakeSlotPool(int) error { return errStub }

// Owner is the slot that polls a queue: none.
func (p *Port) Owner(int) int { return -1 }

// SlotMbufs counts the mbufs in use of a slot's pools.
func (p *Port) SlotMbufs(int) (inUse, total int) { return 0, 0 }

// SlotCounters are those of a slot's queue pair.
func (p *Port) SlotCounters(int) QueueCounters { return QueueCounters{} }

// RSS is how the device spreads packets over its queues.
func (p *Port) RSS() (RSS, error) { return RSS{}, errStub }

// SetRETA sets the queue of each bucket.
func (p *Port) SetRETA([]uint16) error { return errStub }

// SecondaryPolls tells whether secondaries can poll the port.
func (p *Port) SecondaryPolls() (bool, string) { return false, errStub.Error() }

// SharedZone is a piece of memory that all processes share.
func SharedZone(string, int) ([]byte, error) { return nil, errStub }

// Mesh is what the processes share that share ports: there is none.
type Mesh struct{ _ [0]func() }

// NewMesh prepares for processes that share ports.
func NewMesh(MeshConfig) (*Mesh, error) { return nil, errStub }

// LookupMesh finds the mesh in a secondary.
func LookupMesh() (*Mesh, error) { return nil, errStub }

// Slots is how many processes can be there.
func (m *Mesh) Slots() int { return 0 }

// SetEvents tells the eventfd of each slot.
func (m *Mesh) SetEvents([]int) error { return errStub }

// Sleeper wakes the loop of a slot.
func (m *Mesh) Sleeper(int) stack.Sleeper { return (*QueuePair)(nil) }

// Down marks a slot whose process has ended.
func (m *Mesh) Down(int) {}

// Reclaim puts right what the process of a slot left.
func (m *Mesh) Reclaim(int) (Reclaimed, error) { return Reclaimed{}, errStub }

// Queue implements stack.Device.
func (q *QueuePair) Queue() *stack.Queue { return &q.queue }

// Exchange implements stack.Device.
func (q *QueuePair) Exchange() {}

// Flush implements stack.Device.
func (q *QueuePair) Flush() {}

// Info implements stack.Device.
func (q *QueuePair) Info() stack.DeviceInfo { return stack.DeviceInfo{} }

// Counters are the queue pair's own.
func (q *QueuePair) Counters() QueueCounters { return QueueCounters{} }

// RxFD implements stack.Sleeper.
func (q *QueuePair) RxFD() int { return -1 }

// ArmRx implements stack.Sleeper.
func (q *QueuePair) ArmRx(bool) error { return errStub }

// Hand implements stack.Hander.
func (q *QueuePair) Hand([]stack.Frame, int, stack.FrameFlags) bool { return false }

// Inject implements stack.Hander.
func (q *QueuePair) Inject([]byte, int, stack.FrameFlags) bool { return false }

// Slot is the slot that the queue pair is of.
func (q *QueuePair) Slot() int { return -1 }

// Mode is how the queue pair receives and sends.
func (q *QueuePair) Mode() Mode { return Mode{} }

// SetMode switches how the queue pair receives and sends.
func (q *QueuePair) SetMode(Mode) error { return errStub }

// Close implements stack.Device.
func (q *QueuePair) Close() error { return errStub }
