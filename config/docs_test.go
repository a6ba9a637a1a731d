package config

import (
	flagpkg "flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

var update = flagpkg.Bool("update", false, "write docs/configuration.md anew")

// docs/configuration.md is made of the key tables: go test ./config -run TestDocs -update
func TestDocs(t *testing.T) {
	const path = "../docs/configuration.md"
	want := reference()
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s is not what the key tables say; run go test ./config -run TestDocs -update", path)
	}
}

func reference() string {
	var b strings.Builder
	b.WriteString(`# config.ini

<!-- Made of the key tables of package config by its tests. Do not edit; run: go test ./config -run TestDocs -update -->

Sections and keys are F-Stack's, so its config.ini starts here unchanged; keys marked *own* stand beside them.
Lines are ` + "`key=value`" + `; a comment begins with ; or # at the start of a line or after a space.
An unknown key, or one without effect here, is a warning in the log. A wrong value, or a key or section that
stands twice, is an error: the program says where, what, and what would be right, and does not start.

`)
	b.WriteString(sectionDoc("[dpdk]", "The machine and the process.", dpdkKeys))
	b.WriteString(sectionDoc("[stack]", "The stack. The section is our own.", stackKeys))
	b.WriteString(sectionDoc("[portN]", "A port of port_list. It needs addr and netmask, or addr6.", portKeys))
	b.WriteString(sectionDoc("[vdevN]", "A device without hardware, N below nb_vdev: by devargs, or a virtio_user by path.", vdevKeys))
	b.WriteString(sectionDoc("[bondN]", "Ports that act as one, N below nb_bond. The bond is a port of its own: name its number in port_list.", bondKeys))
	b.WriteString("## [freebsd.sysctl]\n\nNames of FreeBSD's sysctls and their values. Those that the stack does not know are named in a warning.\n\n" +
		"| name | meaning |\n|---|---|\n" +
		"| net.inet6.ip6.dad_count | 0: IPv6 addresses are used without asking whether another host has them (RFC 4862 §5.4). Default: 1. |\n" +
		"| net.inet6.ip6.accept_rtadv | Whether addresses, prefixes and routers are taken from router advertisements. Default: 0. |\n" +
		"| net.inet.tcp.… | Settings of TCP, with tcp=fstack: see [stack/tcp/sysctl.go](../stack/tcp/sysctl.go). |\n\n")
	b.WriteString("## Sections without effect\n\n| section | why |\n|---|---|\n")
	b.WriteString("| [freebsd.boot] | it sizes FreeBSD's kernel |\n| [vlanN] | VLANs are not supported yet |\n")
	var off []string
	for name := range without {
		off = append(off, name)
	}
	slices.Sort(off)
	for _, name := range off {
		fmt.Fprintf(&b, "| [%s] | %s |\n", name, without[name].why)
	}
	return b.String()
}

func sectionDoc[T any](title, about string, table []key[T]) string {
	var b strings.Builder
	fmt.Fprintf(&b, "## %s\n\n%s\n\n| key | meaning |\n|---|---|\n", title, about)
	for _, k := range table {
		help := k.help
		if own, ok := strings.CutPrefix(help, "Own: "); ok {
			help = "*own* " + strings.ToUpper(own[:1]) + own[1:]
		}
		if k.set == nil {
			help += " No effect: " + k.without + "."
		}
		fmt.Fprintf(&b, "| %s | %s |\n", k.name, help)
	}
	b.WriteString("\n")
	return b.String()
}
