package tcp

import (
	"encoding/binary"

	"github.com/fstack-go/fstack/stack/tcp/recovery"
)

// TCP option kinds and lengths (RFC 9293 §3.2, RFC 7323, RFC 2018).
const (
	optEnd      = 0
	optNop      = 1
	optMSS      = 2
	optScale    = 3
	optSACKPerm = 4
	optSACK     = 5
	optStamp    = 8

	optMSSLen   = 4
	optScaleLen = 3
	optPermLen  = 2
	optStampLen = 10
	stampRoom   = 12 // with two NOPs before it
	scaleMost   = 14 // RFC 7323 §2.3

	stampPrefix = optNop<<24 | optNop<<16 | optStamp<<8 | optStampLen
)

// options are those of a received segment.
type options struct {
	has    optionBits
	scale  uint8
	mss    uint16
	tsVal  uint32
	tsEcr  uint32
	blocks uint8
	sack   [4]recovery.Block
}

type optionBits uint8

const (
	hasMSS optionBits = 1 << iota
	hasScale
	hasSACKPerm
	hasStamp
)

// parse reads the options and returns false if one has an impossible length; what was read before it counts
// (RFC 9293 §3.1: MUST-5 … MUST-7, and a receiver must survive any length).
func (o *options) parse(b []byte, syn bool) bool {
	o.has, o.blocks = 0, 0
	if len(b) == 0 {
		return true
	}
	if len(b) == stampRoom && binary.BigEndian.Uint32(b) == stampPrefix { // nearly all segments
		o.has = hasStamp
		o.tsVal, o.tsEcr = binary.BigEndian.Uint32(b[4:]), binary.BigEndian.Uint32(b[8:])
		return true
	}
	for len(b) > 0 {
		switch b[0] {
		case optEnd:
			return true
		case optNop:
			b = b[1:]
			continue
		}
		if len(b) < 2 || b[1] < 2 || int(b[1]) > len(b) {
			return false
		}
		kind, v := b[0], b[2:b[1]]
		b = b[b[1]:]
		switch kind {
		case optMSS:
			if len(v) != optMSSLen-2 {
				return false
			}
			if syn {
				o.mss = binary.BigEndian.Uint16(v)
				o.has |= hasMSS
			}
		case optScale:
			if len(v) != optScaleLen-2 {
				return false
			}
			if syn {
				o.scale = min(v[0], scaleMost)
				o.has |= hasScale
			}
		case optSACKPerm:
			if len(v) != 0 {
				return false
			}
			if syn {
				o.has |= hasSACKPerm
			}
		case optStamp:
			if len(v) != optStampLen-2 {
				return false
			}
			o.tsVal, o.tsEcr = binary.BigEndian.Uint32(v), binary.BigEndian.Uint32(v[4:])
			o.has |= hasStamp
		case optSACK:
			if len(v)%8 != 0 || len(v) == 0 {
				return false
			}
			if !syn {
				o.blocks = 0
				for ; len(v) > 0 && o.blocks < 4; v = v[8:] {
					o.sack[o.blocks] = recovery.Block{Start: binary.BigEndian.Uint32(v), End: binary.BigEndian.Uint32(v[4:])}
					o.blocks++
				}
			}
		}
	}
	return true
}

// putSYNOptions writes the options of a SYN or SYN-ACK and returns their length, a multiple of four.
func putSYNOptions(b []byte, has optionBits, mss uint16, scale uint8, tsVal, tsEcr uint32) int {
	binary.BigEndian.PutUint32(b, optMSS<<24|optMSSLen<<16|uint32(mss))
	n := 4
	switch {
	case has&(hasStamp|hasSACKPerm) == hasStamp|hasSACKPerm:
		binary.BigEndian.PutUint32(b[n:], optSACKPerm<<24|optPermLen<<16|optStamp<<8|optStampLen)
		n += 4
	case has&hasStamp != 0:
		binary.BigEndian.PutUint32(b[n:], stampPrefix)
		n += 4
	case has&hasSACKPerm != 0:
		binary.BigEndian.PutUint32(b[n:], optNop<<24|optNop<<16|optSACKPerm<<8|optPermLen)
		n += 4
	}
	if has&hasStamp != 0 {
		binary.BigEndian.PutUint32(b[n:], tsVal)
		binary.BigEndian.PutUint32(b[n+4:], tsEcr)
		n += 8
	}
	if has&hasScale != 0 {
		binary.BigEndian.PutUint32(b[n:], optNop<<24|optScale<<16|optScaleLen<<8|uint32(scale))
		n += 4
	}
	return n
}

// putStamp writes the timestamps option with its padding.
func putStamp(b []byte, tsVal, tsEcr uint32) {
	_ = b[stampRoom-1]
	binary.BigEndian.PutUint64(b[0:], stampPrefix<<32|uint64(tsVal))
	binary.BigEndian.PutUint32(b[8:], tsEcr)
}

// putSACK writes a SACK option with its padding and returns its length.
func putSACK(b []byte, blocks []recovery.Block) int {
	binary.BigEndian.PutUint32(b, optNop<<24|optNop<<16|optSACK<<8|uint32(2+8*len(blocks)))
	n := 4
	for _, s := range blocks {
		binary.BigEndian.PutUint32(b[n:], s.Start)
		binary.BigEndian.PutUint32(b[n+4:], s.End)
		n += 8
	}
	return n
}
