package stack

import "unsafe"

// FrameFlags say what a device found out about a received frame, or what it is asked to do for one that is sent.
type FrameFlags uint16

// Flags of received frames.
const (
	// RxIPCsumGood and RxIPCsumBad are the device's verdict on the IPv4 header checksum; neither: it did not look.
	RxIPCsumGood FrameFlags = 1 << iota
	RxIPCsumBad
	// RxL4CsumGood and RxL4CsumBad are the device's verdict on the TCP or UDP checksum; neither: it did not look.
	RxL4CsumGood
	RxL4CsumBad
	// RxHash says that Frame.Hash holds the device's RSS hash.
	RxHash
)

// Flags of frames to send. Each may be set only if DeviceInfo.Offloads has it.
const (
	// TxIPCsum asks for the IPv4 header checksum; L2 and L3 must be set and the field be zero.
	TxIPCsum FrameFlags = 1 << (iota + 5)
	// TxTCPCsum and TxUDPCsum ask for the transport checksum; L2 and L3 must be set and the field hold the
	// sum of the pseudo header (without the length if TxTSO is set, as DPDK wants it).
	TxTCPCsum
	TxUDPCsum
	// TxTSO asks the device to cut the TCP payload into segments of MSS bytes; needs L2, L3, L4, TxTCPCsum
	// and, over IPv4, TxIPCsum.
	TxTSO
	// TxIPv6 says that the network header is IPv6; without it, it is IPv4.
	TxIPv6
)

// Flags of received frames that came by way of another lcore.
const (
	// RxHanded says that another lcore received the frame and handed it over.
	RxHanded FrameFlags = 1 << (iota + 11)
	// RxNews says that the frame is to be learned from only: whoever received it answers it.
	RxNews
)

// More says that the frame goes on in the next slot of the burst, received or sent.
const More FrameFlags = 1 << 15

// Frame is one contiguous piece of an Ethernet frame, usually all of it, in memory that the device owns.
// It is 32 bytes, has no Go pointer when the device is DPDK's (a burst of them lives in C memory), and is
// the layout that dpdk's exchange fills in C.
type Frame struct {
	data  unsafe.Pointer
	ref   uintptr
	Len   uint16     // bytes in use
	Cap   uint16     // bytes that fit
	Flags FrameFlags //
	MSS   uint16     // with TxTSO: payload bytes per segment
	Hash  uint32     // with RxHash: the RSS hash
	L2    uint8      // with a Tx offload: bytes of Ethernet header
	L3    uint8      // with a Tx offload: bytes of IP header and extensions
	L4    uint8      // with TxTSO: bytes of TCP header
	_     uint8
}

const _ = uint(32-unsafe.Sizeof(Frame{})) + uint(unsafe.Sizeof(Frame{})-32) // a frame is 32 bytes, here as in C

// MakeFrame returns a frame over b. ref is the device's own handle for the memory.
func MakeFrame(b []byte, ref uintptr) Frame {
	return Frame{data: unsafe.Pointer(unsafe.SliceData(b)), ref: ref, Len: uint16(len(b)), Cap: uint16(cap(b))}
}

// Ref is the device's handle for the frame's memory, as given to MakeFrame.
func (f *Frame) Ref() uintptr { return f.ref }

// Bytes is the part in use, valid until the device's next Exchange.
func (f *Frame) Bytes() []byte { return unsafe.Slice((*byte)(f.data), int(f.Len)) }

// Room is all that fits, to be written by a sender that then sets Len.
func (f *Frame) Room() []byte { return unsafe.Slice((*byte)(f.data), int(f.Cap)) }
