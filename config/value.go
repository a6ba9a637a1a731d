package config

import (
	"errors"
	"fmt"
	"math/bits"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// The functions of this file make a key's set from a place in T and the kind of value that it holds.

func number[T any](field func(*T) *int, low, high int) func(*T, string) error {
	return func(t *T, v string) error {
		n, err := strconv.Atoi(v)
		if err != nil || n < low || n > high {
			return fmt.Errorf("must be a number from %d to %d", low, high)
		}
		*field(t) = n
		return nil
	}
}

func flag[T any](field func(*T) *bool) func(*T, string) error {
	return func(t *T, v string) error {
		if v != "0" && v != "1" {
			return errors.New("must be 0 or 1")
		}
		*field(t) = v == "1"
		return nil
	}
}

func text[T any](field func(*T) *string) func(*T, string) error {
	return func(t *T, v string) error {
		*field(t) = v
		return nil
	}
}

// word is a text that may become part of a file's name.
func word[T any](field func(*T) *string, longest int) func(*T, string) error {
	return func(t *T, v string) error {
		if len(v) > longest || strings.Trim(v, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-") != "" || strings.Trim(v, ".") == "" {
			return fmt.Errorf("must be at most %d letters, digits, _, . and -", longest)
		}
		*field(t) = v
		return nil
	}
}

func choice[T any](field func(*T) *string, of ...string) func(*T, string) error {
	return func(t *T, v string) error {
		if !slices.Contains(of, v) {
			return fmt.Errorf("must be one of %s%s", strings.Join(of, ", "), didYouMean(v, of))
		}
		*field(t) = v
		return nil
	}
}

func macAddress[T any](field func(*T) *net.HardwareAddr) func(*T, string) error {
	return func(t *T, v string) error {
		mac, err := net.ParseMAC(v)
		if err != nil || len(mac) != 6 || mac[0]&1 != 0 {
			return errors.New("must be the MAC address of one station, e.g. 02:00:00:00:00:01")
		}
		*field(t) = mac
		return nil
	}
}

// list reads F-Stack's lists of numbers: "0-3,7".
func list[T any](field func(*T) *[]int, high int) func(*T, string) error {
	return func(t *T, v string) error {
		var all []int
		for item := range strings.SplitSeq(v, ",") {
			first, last, isRange := strings.Cut(strings.TrimSpace(item), "-")
			a, err := strconv.Atoi(strings.TrimSpace(first))
			b := a
			if isRange && err == nil {
				b, err = strconv.Atoi(strings.TrimSpace(last))
			}
			if err != nil || a < 0 || b > high || a > b {
				return fmt.Errorf("must be a list of numbers up to %d and ranges of them, e.g. 0-3,7", high)
			}
			for ; a <= b; a++ {
				if slices.Contains(all, a) {
					return fmt.Errorf("%d stands twice in the list", a)
				}
				all = append(all, a)
			}
		}
		slices.Sort(all)
		*field(t) = all
		return nil
	}
}

// maxLcores is DPDK's RTE_MAX_LCORE.
const maxLcores = 128

// lcoreMask reads hexadecimal digits, with or without 0x, into the numbers of the bits.
func lcoreMask(v string) ([]int, error) {
	var lcores []int
	digits := strings.TrimPrefix(strings.TrimPrefix(v, "0x"), "0X")
	digits = strings.TrimLeft(digits, "0")
	for i := range len(digits) {
		d, err := strconv.ParseUint(digits[len(digits)-1-i:len(digits)-i], 16, 8)
		if err != nil {
			return nil, errors.New("must be a mask in hexadecimal digits, e.g. 3 for lcores 0 and 1")
		}
		for ; d != 0; d &= d - 1 {
			lcores = append(lcores, 4*i+bits.TrailingZeros64(d))
		}
	}
	if len(lcores) == 0 {
		return nil, errors.New("names no lcore; set a bit for each, e.g. 1 for lcore 0")
	}
	if last := lcores[len(lcores)-1]; last >= maxLcores {
		return nil, fmt.Errorf("names lcore %d; DPDK knows lcores 0 to %d", last, maxLcores-1)
	}
	return lcores, nil
}

// lcoreCPUs reads EAL's form "0@0,1@1,(2-3)@0": an lcore, or several in brackets, and the CPU that they are.
func lcoreCPUs(d *DPDK, v string) error {
	wrong := errors.New("must be a list of lcores with a CPU for each, e.g. 0@0,1@1,(2-3)@0")
	d.cpus = map[int]int{}
	for v != "" {
		var item string
		if end := strings.IndexByte(v, ')'); strings.HasPrefix(v, "(") && end > 0 { // there may be commas inside
			rest, after, _ := strings.Cut(v[end+1:], ",")
			item, v = v[1:end]+rest, after
		} else {
			item, v, _ = strings.Cut(v, ",")
		}
		names, cpu, ok := strings.Cut(item, "@")
		n, err := strconv.Atoi(strings.TrimSpace(cpu))
		if !ok || err != nil || n < 0 {
			return wrong
		}
		var lcores []int
		if list(func(l *[]int) *[]int { return l }, maxLcores-1)(&lcores, names) != nil {
			return wrong
		}
		for _, l := range lcores {
			if _, twice := d.cpus[l]; twice {
				return fmt.Errorf("lcore %d stands twice in the list", l)
			}
			d.cpus[l] = n
		}
	}
	return nil
}

// address reads an address that one host can have. ipv6 says of which family.
func address(v string, ipv6 bool) (netip.Addr, error) {
	a, err := netip.ParseAddr(v)
	switch {
	case err != nil && ipv6, err == nil && ipv6 && (!a.Is6() || a.Is4In6()):
		return a, errors.New("must be an IPv6 address, e.g. fd00:192:168:1::2")
	case err != nil, !ipv6 && !a.Is4():
		return a, errors.New("must be an IPv4 address, e.g. 192.168.1.2")
	case a.Zone() != "":
		return a, errors.New("must be an address without a zone")
	case a.IsUnspecified(), a.IsMulticast(), a.IsLoopback(), a == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return a, errors.New("must be the address of one host, not unspecified, multicast, broadcast or loopback")
	}
	return a, nil
}

func hostAddress[T any](field func(*T) *netip.Addr, ipv6 bool) func(*T, string) error {
	return func(t *T, v string) error {
		a, err := address(v, ipv6)
		if err == nil {
			*field(t) = a
		}
		return err
	}
}

// separated calls each for the items of a list with semicolons, as F-Stack's addresses are.
func separated(v string, most int, each func(string) error) error {
	items := strings.Split(strings.TrimSuffix(v, ";"), ";")
	if len(items) > most {
		return fmt.Errorf("has %d items, separated by semicolons; it may have %d", len(items), most)
	}
	for _, item := range items {
		if err := each(strings.TrimSpace(item)); err != nil {
			return fmt.Errorf("%s: %w", item, err)
		}
	}
	return nil
}
