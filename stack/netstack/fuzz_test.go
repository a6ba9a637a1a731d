package netstack

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"

	"github.com/fstack-go/fstack/stack"
)

// A fuzz input is a row of frames: for each a byte of what to do, its length in two bytes, and the frame from the
// EtherType on.
const (
	doTrust = 1 << iota // the device has found the checksums good
	doFix               // put right checksums into IPv4 headers and ICMP
	doPiece             // in pieces of 100 bytes
	doLater             // a second later
	doGroup             // to a multicast address
)

// addFrame appends a frame to a fuzz input.
func addFrame(input []byte, do byte, frame []byte) []byte {
	input = append(input, do)
	input = binary.BigEndian.AppendUint16(input, uint16(len(frame)-12))
	return append(input, frame[12:]...)
}

// fixChecksums corrects those that keep most mutations from getting far.
func fixChecksums(frame []byte) {
	if len(frame) >= 14+20 && frame[12] == 8 && frame[13] == 0 {
		h := header.IPv4(frame[14:])
		n := int(h.HeaderLength())
		if n < 20 || n > len(h) {
			return
		}
		h.SetChecksum(0)
		h.SetChecksum(^h.CalculateChecksum())
		if end := int(h.TotalLength()); h.Protocol() == 1 && end >= n+8 && end <= len(h) {
			b := header.ICMPv4(h[n:end])
			b.SetChecksum(0)
			b.SetChecksum(^checksum.Checksum(b, 0))
		}
	}
	if len(frame) >= 14+40+8 && frame[12] == 0x86 && frame[13] == 0xdd && frame[20] == 58 {
		h := header.IPv6(frame[14:])
		if end := 40 + int(h.PayloadLength()); end >= 48 && end <= len(h) {
			b := header.ICMPv6(h[40:end])
			b.SetChecksum(0)
			b.SetChecksum(^sum(fromAddress(h.SourceAddress()), fromAddress(h.DestinationAddress()), 58, b))
		}
	}
}

// FuzzDeliver gives arbitrary frames to a host with listeners, in both kinds of configuration. It must not panic or
// hang, and must not send what no device would take.
func FuzzDeliver(f *testing.F) {
	for _, src := range []struct {
		a, b netip.Addr
		kind uint16
	}{{a4, b4, 0x0800}, {a6, b6, 0x86dd}} {
		proto, request := echo(src.b, src.a, random(1, 64))
		to := [6]byte(mac)
		f.Add(addFrame(nil, doFix, ethernet(to, src.kind, ip(src.b, src.a, proto, request))))
		f.Add(addFrame(nil, doTrust, ethernet(to, src.kind, ip(src.b, src.a, 17, datagram(netip.AddrPortFrom(src.b, 9), netip.AddrPortFrom(src.a, 7), []byte("data"))))))
		f.Add(addFrame(nil, doTrust, ethernet(to, src.kind, ip(src.b, src.a, 6, tcpSegment(src.b, src.a, []byte("data"))))))
		syn := tcpSegment(src.b, src.a, nil)
		header.TCP(syn).SetFlags(uint8(header.TCPFlagSyn))
		f.Add(addFrame(nil, doTrust|doFix, ethernet(to, src.kind, ip(src.b, src.a, 6, syn))))
		var row []byte
		for _, p := range fragments(src.b, src.a, 17, datagram(netip.AddrPortFrom(src.b, 9), netip.AddrPortFrom(src.a, 7), random(2, 500)), 200) {
			row = addFrame(row, doFix|doPiece, ethernet(to, src.kind, p))
		}
		f.Add(row)
		f.Add(addFrame(row, doLater, ethernet(to, src.kind, ip(src.b, src.a, 0, []byte{1, 1, 1, 1}))))
	}
	f.Add(addFrame(nil, doGroup|doFix, advertisement(addr("fe80::99"), netip.MustParsePrefix("2001:db8::/64"), 1800)))
	f.Add(addFrame(nil, 0, ethernet([6]byte(mac), 0x8100, []byte{0, 1, 8, 0, 0x45})))

	f.Fuzz(func(t *testing.T, input []byte) {
		for _, tcp := range []bool{false, true} {
			s := newSolo(t, newFake(64, 2048, 0), Config{TCP: tcp})
			s.SetSegments(func(_ int, _, _ netip.Addr, b []byte) {
				if len(b) < header.TCPMinimumSize {
					t.Errorf("a segment of %d bytes", len(b))
				}
			})
			for _, ip := range []netip.Addr{a4, a6} {
				s.ok(s.Bind(s.open(family(ip), unix.SOCK_DGRAM, 0), netip.AddrPortFrom(ip, 7)))
				s.open(family(ip), unix.SOCK_RAW, unix.IPPROTO_UDP)
				if tcp {
					s.listen(netip.AddrPortFrom(ip, 80))
				}
			}
			for in := input; len(in) >= 3; {
				do, n := in[0], int(binary.BigEndian.Uint16(in[1:]))
				n = min(n, len(in)-3)
				dst := [6]byte(mac)
				if do&doGroup != 0 {
					dst = [6]byte{0x33, 0x33, 0, 0, 0, 1}
				}
				frame := append(ethernet(dst, 0, nil)[:12], in[3:3+n]...)
				in = in[3+n:]
				var flags stack.FrameFlags
				if do&doTrust != 0 {
					flags = stack.RxIPCsumGood | stack.RxL4CsumGood
				}
				if do&doFix != 0 {
					fixChecksums(frame)
				}
				piece := 65535
				if do&doPiece != 0 {
					piece = 100
				}
				if do&doLater != 0 {
					s.now += int64(time.Second)
				}
				s.dev.receive(flags, piece, frame)
				s.turn()
			}
			s.now += int64(time.Minute)
			frames, _ := s.take()
			for _, b := range frames {
				if len(b) < 14 || len(b) > 1514 {
					t.Errorf("sent a frame of %d bytes", len(b))
				}
			}
			s.Destroy()
		}
	})
}
