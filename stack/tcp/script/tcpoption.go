package script

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"strings"
)

// TCP option kinds (IANA).
const (
	optEOL    = 0
	optNOP    = 1
	optMSS    = 2
	optScale  = 3
	optSACKOK = 4
	optSACK   = 5
	optTS     = 8
	optMD5    = 19
	optFO     = 34
	optExp    = 254
)

// fastOpenMagic begins the data of the experimental Fast Open option (RFC 7413 appendix A).
var fastOpenMagic = []byte{0xf9, 0x89}

// TCPOption is one option as on the wire; Data is what follows kind and length.
type TCPOption struct {
	Kind uint8
	Data []byte
}

func (o TCPOption) length() int {
	if o.Kind <= optNOP {
		return 1
	}
	return 2 + len(o.Data)
}

func (o TCPOption) equal(x TCPOption) bool { return o.Kind == x.Kind && bytes.Equal(o.Data, x.Data) }

// timestamp returns the values of a timestamps option.
func (o TCPOption) timestamp() (val, ecr uint32, ok bool) {
	if o.Kind != optTS || len(o.Data) != 8 {
		return 0, 0, false
	}
	return binary.BigEndian.Uint32(o.Data), binary.BigEndian.Uint32(o.Data[4:]), true
}

func (o TCPOption) setTimestamp(val, ecr uint32) {
	binary.BigEndian.PutUint32(o.Data, val)
	binary.BigEndian.PutUint32(o.Data[4:], ecr)
}

// shift moves the edges of a SACK option's blocks.
func (o TCPOption) shift(by uint32) {
	if o.Kind == optSACK {
		for d := o.Data; len(d) >= 4; d = d[4:] {
			binary.BigEndian.PutUint32(d, binary.BigEndian.Uint32(d)+by)
		}
	}
}

// String is the option as a script writes it; one that a script cannot write is shown as kind and bytes.
func (o TCPOption) String() string {
	u32 := func(at int) uint32 { return binary.BigEndian.Uint32(o.Data[at:]) }
	switch n := len(o.Data); {
	case o.Kind == optEOL:
		return "eol"
	case o.Kind == optNOP:
		return "nop"
	case o.Kind == optMSS && n == 2:
		return fmt.Sprintf("mss %d", binary.BigEndian.Uint16(o.Data))
	case o.Kind == optScale && n == 1:
		return fmt.Sprintf("wscale %d", o.Data[0])
	case o.Kind == optSACKOK && n == 0:
		return "sackOK"
	case o.Kind == optSACK && n > 0 && n%8 == 0:
		s := "sack"
		for i := 0; i < n; i += 8 {
			s += fmt.Sprintf(" %d:%d", u32(i), u32(i+4))
		}
		return s
	case o.Kind == optTS && n == 8:
		return fmt.Sprintf("TS val %d ecr %d", u32(0), u32(4))
	case o.Kind == optMD5:
		return "md5 " + hex.EncodeToString(o.Data)
	case o.Kind == optFO:
		return strings.TrimSpace("FO " + hex.EncodeToString(o.Data))
	case o.Kind == optExp && bytes.HasPrefix(o.Data, fastOpenMagic):
		return strings.TrimSpace("FOEXP " + hex.EncodeToString(o.Data[2:]))
	}
	return fmt.Sprintf("kind_%d %x", o.Kind, o.Data)
}

// decodeOptions cuts the option bytes of a TCP header. What does not parse becomes one last option of its kind.
func decodeOptions(b []byte) (options []TCPOption) {
	for len(b) > 0 {
		o := TCPOption{Kind: b[0]}
		if o.Kind <= optNOP {
			options, b = append(options, o), b[1:]
			continue
		}
		n := len(b)
		if n >= 2 && int(b[1]) >= 2 && int(b[1]) <= n {
			n = int(b[1])
		}
		o.Data = bytes.Clone(b[min(2, n):n])
		options, b = append(options, o), b[n:]
	}
	return options
}

func encodeOptions(options []TCPOption) (b []byte) {
	for _, o := range options {
		b = append(b, o.Kind)
		if o.Kind > optNOP {
			b = append(append(b, byte(2+len(o.Data))), o.Data...)
		}
	}
	return b
}

// tcpOption takes one option in a script's words.
func (p *parser) tcpOption() (o TCPOption, err error) {
	t := p.next()
	var v, w int64
	switch t.text {
	case "eol":
	case "nop":
		o.Kind = optNOP
	case "mss":
		o.Kind = optMSS
		if v, err = p.integer("MSS", 0, math.MaxUint16); err == nil {
			o.Data = binary.BigEndian.AppendUint16(nil, uint16(v))
		}
	case "wscale":
		o.Kind = optScale
		if v, err = p.integer("window scale", 0, 255); err == nil {
			o.Data = []byte{byte(v)}
		}
	case "sackOK":
		o.Kind = optSACKOK
	case "sack":
		o.Kind = optSACK
		for n := 0; err == nil && (n == 0 || p.peek().kind == tokInt); n++ {
			if v, err = p.integer("left edge", 0, math.MaxUint32); err != nil {
				break
			}
			if err = p.expect(":"); err != nil {
				break
			}
			if w, err = p.integer("right edge", 0, math.MaxUint32); err != nil {
				break
			}
			o.Data = binary.BigEndian.AppendUint32(o.Data, uint32(v))
			o.Data = binary.BigEndian.AppendUint32(o.Data, uint32(w))
		}
	case "TS":
		o.Kind = optTS
		if err = p.expect("val"); err != nil {
			break
		}
		if v, err = p.integer("timestamp", 0, math.MaxUint32); err != nil {
			break
		}
		if err = p.expect("ecr"); err != nil {
			break
		}
		if w, err = p.integer("timestamp", 0, math.MaxUint32); err != nil {
			break
		}
		o.Data = make([]byte, 8)
		o.setTimestamp(uint32(v), uint32(w))
	case "md5":
		o.Kind = optMD5
		o.Data, err = p.hex(false)
	case "FO":
		o.Kind = optFO
		o.Data, err = p.hex(true)
	case "FOEXP":
		o.Kind = optExp
		o.Data, err = p.hex(true)
		o.Data = append(bytes.Clone(fastOpenMagic), o.Data...)
	default:
		err = p.fail(t, "expected mss, wscale, sackOK, sack, TS, nop, eol, md5, FO or FOEXP, found %v", t)
	}
	return o, err
}

// hex takes bytes in hexadecimal.
func (p *parser) hex(optional bool) ([]byte, error) {
	t := p.peek()
	if t.kind != tokWord && t.kind != tokInt {
		if optional {
			return nil, nil
		}
		return nil, p.fail(t, "expected bytes in hexadecimal, found %v", t)
	}
	t = p.next()
	b, err := hex.DecodeString(t.text)
	if err != nil || len(b) > 38 {
		return nil, p.fail(t, "%v is not at most 38 bytes in hexadecimal", t)
	}
	return b, nil
}
