package script

import (
	"errors"
	"fmt"
	"strings"

	"github.com/fstack-go/fstack/stack/tcp/script/lab"
)

// rfc1323 holds Linux's two settings that are one in FreeBSD.
type rfc1323 struct{ noScale, noStamps bool }

// linuxNames maps Linux's settings to the stack's; the second column is the name, % stands for the value, and a
// list of words is set one by one.
var linuxNames = map[string][]string{
	"tcp_sack":                  {"net.inet.tcp.sack.enable=%"},
	"tcp_ecn":                   {"net.inet.tcp.ecn.enable=%"},
	"tcp_congestion_control":    {"net.inet.tcp.cc.algorithm=%"},
	"tcp_fin_timeout":           {"net.inet.tcp.finwait2_timeout=%000"},
	"tcp_keepalive_time":        {"net.inet.tcp.keepidle=%000"},
	"tcp_keepalive_intvl":       {"net.inet.tcp.keepintvl=%000"},
	"tcp_keepalive_probes":      {"net.inet.tcp.keepcnt=%"},
	"tcp_challenge_ack_limit":   {"net.inet.tcp.challenge_ack_limit=%"},
	"tcp_max_syn_backlog":       {"net.inet.tcp.syncache.cachelimit=%"},
	"tcp_max_tw_buckets":        {"net.inet.tcp.maxtcptw=%"},
	"tcp_slow_start_after_idle": {"net.inet.tcp.slow_start_after_idle=%"},
	"tcp_rmem":                  {"", "net.inet.tcp.recvspace=%", "net.inet.tcp.recvbuf_max=%"},
	"tcp_wmem":                  {"", "net.inet.tcp.sendspace=%", "net.inet.tcp.sendbuf_max=%"},
}

// linuxOnly are settings of Linux for things that the scripts here do not depend on.
var linuxOnly = map[string]bool{
	"tcp_fastopen": true, "tcp_fastopen_cookies": true, "tcp_min_tso_segs": true, "tcp_tso_win_divisor": true,
	"tcp_early_retrans": true, "tcp_pacing_ss_ratio": true, "tcp_pacing_ca_ratio": true, "tcp_autocorking": true,
	"tcp_no_metrics_save": true, "tcp_notsent_lowat": true, "tcp_tw_reuse": true, "tcp_frto": true,
	"tcp_syn_linear_timeouts": true, "tcp_invalid_ratelimit": true, "tcp_tw_reuse_delay": true,
}

// usual are settings to which a stack that cannot change them has to conform anyway.
var usual = map[string]string{
	"tcp_slow_start_after_idle": "1", "tcp_rfc1337": "1", "tcp_dsack": "1", "tcp_sack": "1",
}

// sysctl sets an option by FreeBSD's name or by Linux's.
func (r *runner) sysctl(name, value string) error {
	name = strings.ReplaceAll(name, "/", ".")
	short, linux := strings.CutPrefix(name, "net.ipv4.")
	if !linux {
		return r.set(name, value)
	}
	if linuxOnly[short] {
		return nil
	}
	switch short {
	case "tcp_timestamps", "tcp_window_scaling":
		if short == "tcp_timestamps" {
			r.rfc1323.noStamps = value == "0"
		} else {
			r.rfc1323.noScale = value == "0"
		}
		// FreeBSD: 0 neither, 1 both, 2 only window scaling, 3 only timestamps.
		v := "1"
		switch r.rfc1323 {
		case rfc1323{noScale: true, noStamps: true}:
			v = "0"
		case rfc1323{noStamps: true}:
			v = "2"
		case rfc1323{noScale: true}:
			v = "3"
		}
		return r.set("net.inet.tcp.rfc1323", v)
	case "tcp_syncookies":
		only := "0"
		if value == "2" {
			value, only = "1", "1"
		}
		if err := r.set("net.inet.tcp.syncookies", value); err != nil {
			return err
		}
		return r.set("net.inet.tcp.syncookies_only", only)
	}
	names := linuxNames[short]
	if v, ok := usual[short]; ok && v == value {
		for _, n := range names {
			own, form, _ := strings.Cut(n, "=")
			if err := r.set(own, strings.ReplaceAll(form, "%", value)); err != nil && !errors.Is(err, lab.ErrNoSysctl) {
				return err
			}
		}
		return nil
	}
	if names == nil {
		return fmt.Errorf("%s has no counterpart here", name)
	}
	words := strings.Fields(value)
	if len(words) != len(names) {
		return fmt.Errorf("%s=%s: %d values expected", name, value, len(names))
	}
	for i, n := range names {
		if own, form, ok := strings.Cut(n, "="); ok {
			if err := r.set(own, strings.ReplaceAll(form, "%", words[i])); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *runner) set(name, value string) error {
	if err := r.lab.Sysctl(name, value); err != nil {
		return fmt.Errorf("sysctl %s=%s: %w", name, value, err)
	}
	return nil
}
