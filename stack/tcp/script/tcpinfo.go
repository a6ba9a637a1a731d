package script

import "encoding/binary"

// tcpInfoFields are the members of Linux's struct tcp_info (include/uapi/linux/tcp.h) after its first eight bytes,
// in order, each naturally aligned.
var tcpInfoFields = []struct {
	name string
	size int
}{
	{"rto", 4}, {"ato", 4}, {"snd_mss", 4}, {"rcv_mss", 4},
	{"unacked", 4}, {"sacked", 4}, {"lost", 4}, {"retrans", 4}, {"fackets", 4},
	{"last_data_sent", 4}, {"last_ack_sent", 4}, {"last_data_recv", 4}, {"last_ack_recv", 4},
	{"pmtu", 4}, {"rcv_ssthresh", 4}, {"rtt", 4}, {"rttvar", 4}, {"snd_ssthresh", 4}, {"snd_cwnd", 4},
	{"advmss", 4}, {"reordering", 4}, {"rcv_rtt", 4}, {"rcv_space", 4}, {"total_retrans", 4},
	{"pacing_rate", 8}, {"max_pacing_rate", 8}, {"bytes_acked", 8}, {"bytes_received", 8},
	{"segs_out", 4}, {"segs_in", 4}, {"notsent_bytes", 4}, {"min_rtt", 4}, {"data_segs_in", 4}, {"data_segs_out", 4},
	{"delivery_rate", 8}, {"busy_time", 8}, {"rwnd_limited", 8}, {"sndbuf_limited", 8},
	{"delivered", 4}, {"delivered_ce", 4}, {"bytes_sent", 8}, {"bytes_retrans", 8},
	{"dsack_dups", 4}, {"reord_seen", 4}, {"rcv_ooopack", 4}, {"snd_wnd", 4}, {"rcv_wnd", 4}, {"rehash", 4},
}

const tcpInfoSize = 256 // room for newer members

// decodeTCPInfo adds the members that are in b, as tcpi_name, to vars.
func decodeTCPInfo(b []byte, vars map[string]float64) {
	if len(b) < 8 {
		return
	}
	for i, name := range []string{"state", "ca_state", "retransmits", "probes", "backoff", "options"} {
		vars["tcpi_"+name] = float64(b[i])
	}
	vars["tcpi_snd_wscale"] = float64(b[6] & 15)
	vars["tcpi_rcv_wscale"] = float64(b[6] >> 4)
	vars["tcpi_delivery_rate_app_limited"] = float64(b[7] & 1)
	at := 8
	for _, f := range tcpInfoFields {
		at = (at + f.size - 1) &^ (f.size - 1)
		if at+f.size > len(b) {
			return
		}
		if f.size == 4 {
			vars["tcpi_"+f.name] = float64(binary.NativeEndian.Uint32(b[at:]))
		} else {
			vars["tcpi_"+f.name] = float64(binary.NativeEndian.Uint64(b[at:]))
		}
		at += f.size
	}
}
