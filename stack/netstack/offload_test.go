package netstack

import (
	"bytes"
	"fmt"
	"net/netip"
	"testing"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	gstack "gvisor.dev/gvisor/pkg/tcpip/stack"

	"github.com/fstack-go/fstack/stack"
)

// bigSegment is what gVisor's TCP hands to a link that segments: headers with the pseudo header's sum, and data of any
// size in views of any size.
func bigSegment(src, dst netip.Addr, data []byte, mss, view int) *gstack.PacketBuffer {
	p := gstack.NewPacketBuffer(gstack.PacketBufferOptions{ReserveHeaderBytes: headMax})
	for d := data; len(d) > 0; {
		n := min(view, len(d))
		p.Data().AppendView(buffer.NewViewWithData(d[:n]))
		d = d[n:]
	}
	const options = 12
	t := header.TCP(p.TransportHeader().Push(header.TCPMinimumSize + options))
	t.Encode(&header.TCPFields{SrcPort: 1, DstPort: 2, SeqNum: 0xfffffff0, AckNum: 5, DataOffset: header.TCPMinimumSize + options,
		Flags: header.TCPFlagAck | header.TCPFlagPsh | header.TCPFlagFin, WindowSize: 1000})
	copy(t[header.TCPMinimumSize:], []byte{1, 1, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8})
	t.SetChecksum(header.PseudoHeaderChecksum(header.TCPProtocolNumber, toAddress(src), toAddress(dst), uint16(p.Size())))
	p.GSOOptions = gstack.GSO{NeedsCsum: true, MSS: uint16(mss), Type: gstack.GSOTCPv6}
	p.NetworkProtocolNumber, p.TransportProtocolNumber = protoOf(src), header.TCPProtocolNumber
	if src.Is4() {
		p.GSOOptions.Type = gstack.GSOTCPv4
		h := header.IPv4(p.NetworkHeader().Push(header.IPv4MinimumSize))
		h.Encode(&header.IPv4Fields{TotalLength: uint16(p.Size()), TTL: 64, Protocol: 6, ID: 100, SrcAddr: toAddress(src), DstAddr: toAddress(dst)})
		h.SetChecksum(^h.CalculateChecksum())
	} else {
		header.IPv6(p.NetworkHeader().Push(header.IPv6MinimumSize)).Encode(&header.IPv6Fields{PayloadLength: uint16(p.Size()),
			TransportProtocol: header.TCPProtocolNumber, HopLimit: 64, SrcAddr: toAddress(src), DstAddr: toAddress(dst)})
	}
	header.Ethernet(p.LinkHeader().Push(ethSize)).Encode(&header.EthernetFields{SrcAddr: tcpip.LinkAddress(mac), DstAddr: tcpip.LinkAddress(peerMAC[:]), Type: p.NetworkProtocolNumber})
	return p
}

func TestSegmentsAreCut(t *testing.T) {
	for _, addr := range []struct{ a, b netip.Addr }{{a4, b4}, {a6, b6}} {
		for _, offloads := range []stack.FrameFlags{0, stack.TxTCPCsum} {
			for _, size := range []int{0, 1, 999, 1000, 1001, 2000, 60001} {
				for _, slot := range []int{1514, 300} { // the smaller one needs several slots for a frame
					t.Run(fmt.Sprintf("%v/offloads=%#x/%d bytes/slots of %d", addr.a, offloads, size, slot), func(t *testing.T) {
						s := newSolo(t, newFake(7, slot, offloads), Config{}) // few slots: a segment takes several turns
						s.take()
						data := random(uint64(size), size)
						p := bigSegment(addr.a, addr.b, data, 1000, 777)
						var list gstack.PacketBufferList
						list.PushBack(p)
						if n, err := s.links[0].WritePackets(list); n != 1 || err != nil {
							t.Fatalf("write: %d, %v", n, err)
						}
						p.DecRef()
						frames, flags := s.take()
						if want := max(1, (size+999)/1000); len(frames) != want {
							t.Fatalf("%d frames, want %d", len(frames), want)
						}
						if got := joinSegments(t, frames, flags, offloads); !bytes.Equal(got, data) {
							t.Errorf("%d bytes arrived, not the %d that were sent", len(got), len(data))
						}
						for i, f := range frames {
							h := header.TCP(f[14+ipHeader(addr.a):])
							want := header.TCPFlags(header.TCPFlagAck)
							if i == len(frames)-1 {
								want |= header.TCPFlagPsh | header.TCPFlagFin
							}
							if h.Flags() != want || h.AckNumber() != 5 || h.WindowSize() != 1000 {
								t.Errorf("frame %d: flags %v, want %v", i, h.Flags(), want)
							}
							if addr.a.Is4() && header.IPv4(f[14:]).ID() != uint16(100+i) {
								t.Errorf("frame %d: ID %d", i, header.IPv4(f[14:]).ID())
							}
						}
					})
				}
			}
		}
	}
}

func TestSegmentsAreLeftToTheDevice(t *testing.T) {
	for _, addr := range []struct{ a, b netip.Addr }{{a4, b4}, {a6, b6}} {
		s := newSolo(t, newFake(64, 2048, tso), Config{})
		s.take()
		data := random(3, 20000)
		p := bigSegment(addr.a, addr.b, data, 1000, 4096)
		var list gstack.PacketBufferList
		list.PushBack(p)
		s.links[0].WritePackets(list)
		p.DecRef()
		s.turn()
		first := s.dev.first
		frames, _ := s.take()
		if len(frames) != 1 {
			t.Fatalf("%d frames, want one that the device cuts", len(frames))
		}
		f, ip := first[0], ipHeader(addr.a)
		want := tso
		if addr.a.Is6() {
			want = want&^stack.TxIPCsum | stack.TxIPv6
		}
		if f.Flags&^stack.More != want || int(f.L2) != 14 || int(f.L3) != ip || f.L4 != 32 || f.MSS != 1000 {
			t.Errorf("flags %#x L2 %d L3 %d L4 %d MSS %d, want flags %#x", f.Flags, f.L2, f.L3, f.L4, f.MSS, want)
		}
		if addr.a.Is4() && header.IPv4(frames[0][14:]).Checksum() != 0 {
			t.Error("the IPv4 checksum is not zero")
		}
		h := header.TCP(frames[0][14+ip:])
		if want := header.PseudoHeaderChecksum(header.TCPProtocolNumber, toAddress(addr.a), toAddress(addr.b), 0); h.Checksum() != want {
			t.Errorf("TCP checksum %#x, want the pseudo header's sum without length, %#x", h.Checksum(), want)
		}
		if !bytes.Equal(frames[0][14+ip+32:], data) {
			t.Error("the data is not whole")
		}
	}
}

// TestSegmentTooBigForDevice checks that what a device with TSO has no room for is cut, and not stuck.
func TestSegmentTooBigForDevice(t *testing.T) {
	s := newSolo(t, newFake(4, 2048, tso), Config{})
	s.take()
	data := random(4, 20000)
	p := bigSegment(a4, b4, data, 1000, 4096)
	var list gstack.PacketBufferList
	list.PushBack(p)
	s.links[0].WritePackets(list)
	p.DecRef()
	frames, flags := s.take()
	if got := joinSegments(t, frames, flags, stack.TxTCPCsum); !bytes.Equal(got, data) || len(frames) != 20 {
		t.Errorf("%d bytes in %d frames, want %d in 20", len(got), len(frames), len(data))
	}
}
