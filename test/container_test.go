//go:build !nodpdk

package test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// manual is a chapter of docs/ whose commands a test runs, with other paths and names.
type manual struct {
	blocks map[string][]string // by language
	other  *strings.Replacer
	env    []string
}

// readManual reads the fenced blocks of a chapter.
func readManual(t *testing.T, file, chapter string) *manual {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../docs", file))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(text), "\n## "+chapter+"\n")
	if !found {
		t.Fatalf("docs/%s has no chapter %q", file, chapter)
	}
	rest, _, _ = strings.Cut(rest, "\n## ")
	m := &manual{blocks: map[string][]string{}}
	for _, b := range regexp.MustCompile("(?ms)^```(\\w+)\n(.*?)^```$").FindAllStringSubmatch(rest, -1) {
		m.blocks[b[1]] = append(m.blocks[b[1]], b[2])
	}
	return m
}

// block is the one of a language that has a word.
func (m *manual) block(t *testing.T, language, word string) string {
	t.Helper()
	for _, b := range m.blocks[language] {
		if strings.Contains(b, word) {
			return m.other.Replace(b)
		}
	}
	t.Fatalf("the chapter has no block of %s with %q", language, word)
	return ""
}

// command is the block of commands with that word.
func (m *manual) command(t *testing.T, word string) *exec.Cmd {
	t.Helper()
	c := exec.Command("sh", "-e", "-c", m.block(t, "sh", word))
	c.Env = append(os.Environ(), m.env...)
	return c
}

// run runs a block to its end.
func (m *manual) run(t *testing.T, word string) string {
	t.Helper()
	c := m.command(t, word)
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("%s\n%v\n%s", c.Args[3], err, out)
	}
	return string(out)
}

// podman finds settings with which containers run here, under a storage of the test's own, as environment variables.
func podman(t *testing.T) (env []string) {
	t.Helper()
	needs(t, "podman")
	dir := t.TempDir()
	storage := fmt.Sprintf("[storage]\ndriver=\"vfs\"\ngraphroot=%q\nrunroot=%q\n", dir+"/graph", dir+"/run")
	if err := os.WriteFile(dir+"/storage.conf", []byte(storage), 0o644); err != nil {
		t.Fatal(err)
	}
	root := dir + "/root"
	if out, err := exec.Command("sh", "-c", `mkdir -p "$1/usr" && for d in bin lib lib64 sbin; do ln -s usr/$d "$1/$d"; done`, "sh", root).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var why string
	for _, runtime := range []string{"crun", "runc"} { // crun knows no cgroups of both kinds at once
		// The limits are ones that can be had without the right to raise them.
		containers := fmt.Sprintf("[containers]\ndefault_ulimits=[\"nofile=1024:1024\",\"nproc=4096:4096\"]\n"+
			"[engine]\nruntime=%q\ncgroup_manager=\"cgroupfs\"\nlock_type=\"file\"\nevents_logger=\"none\"\ntmp_dir=%q\n", runtime, dir+"/tmp")
		name := dir + "/" + runtime + ".conf"
		if err := os.WriteFile(name, []byte(containers), 0o644); err != nil {
			t.Fatal(err)
		}
		env := []string{"CONTAINERS_CONF=" + name, "CONTAINERS_STORAGE_CONF=" + dir + "/storage.conf"}
		try := exec.Command("podman", "run", "--rm", "--network", "none", "--volume", "/usr:/usr:ro", "--rootfs", root, "true")
		try.Env = append(os.Environ(), env...)
		out, err := try.CombinedOutput()
		if err == nil {
			return env
		}
		why += fmt.Sprintf("\n%s: %v: %s", runtime, err, out)
	}
	t.Skip("needs a podman that can run a container here:" + why)
	return nil
}

// contained is docs/deployment.md's container with a program in it, behind a vhost switch; its config is changed by
// edit. It is not started yet.
func contained(t *testing.T, program string, queues int, edit *strings.Replacer) (*process, *manual) {
	t.Helper()
	needsHuge(t, 400)
	m := readManual(t, "deployment.md", "In a container")
	m.env = podman(t)
	p := prepare(t, program)
	socket := vhost(t, p.netns, queues)
	dir := t.TempDir()
	huge := dir + "/huge"
	m.other = strings.NewReplacer("/mnt/fstack-huge", huge, "/run/fstack-vhost/port0", socket, "/run/fstack-vhost", filepath.Dir(socket),
		"/run/vhost/port0", "/run/vhost/"+filepath.Base(socket), "/srv/fstack", dir+"/root", "bin/http", p.cmd.Path, "config.ini ", dir+"/config.ini ",
		"/app/http", "/app/"+program, "--name fstack", "--name "+p.prefix, "exec fstack", "exec "+p.prefix, "15 fstack", "15 "+p.prefix)
	if err := os.WriteFile(dir+"/config.ini", []byte(edit.Replace(m.block(t, "ini", "[vdev0]"))), 0o644); err != nil {
		t.Fatal(err)
	}
	m.run(t, "mount -t hugetlbfs")
	t.Cleanup(func() {
		if out, err := exec.Command("umount", huge).CombinedOutput(); err != nil {
			t.Errorf("umount: %v %s", err, out)
		}
	})
	m.run(t, "/srv/fstack/app")
	t.Cleanup(func() { // if it did not end by itself
		c := exec.Command("podman", "rm", "--force", "--ignore", "--time", "0", p.prefix)
		c.Env = append(os.Environ(), m.env...)
		if out, err := c.CombinedOutput(); err != nil {
			t.Errorf("podman rm: %v %s", err, out)
		}
		if left, _ := filepath.Glob(huge + "/*"); len(left) > 0 && !t.Failed() {
			t.Errorf("left behind: %v", left)
		}
	})
	m.run(t, "chown")
	p.cmd = m.command(t, "podman run")
	p.cmd.Args[3] = "exec " + p.cmd.Args[3]
	return p, m
}

// TestContainer: bin/http as one process in a container without privileges.
func TestContainer(t *testing.T) {
	p, m := contained(t, "http", 1, strings.NewReplacer("lcore_mask=3", "lcore_mask=1", "queues=2", "queues=1"))
	p.start(t)
	p.ready(t, "try: ")
	c := p.client(t)
	for _, host := range []string{addr4, "[" + addr6 + "]"} {
		if text, err := get(c, "http://"+host+"/live"); err != nil || !strings.Contains(text, "hugepages") || !strings.Contains(text, "net_virtio_user") {
			t.Errorf("%s: %v %s", host, err, text)
		}
	}
	p.ping(t, addr4)
	p.ping(t, "-6", addr6)
	if said := m.run(t, "status"); !strings.Contains(said, "one process: pid ") || !strings.Contains(said, "serving") {
		t.Error(said)
	}
	m.run(t, "podman stop")
	if !p.ended(20*time.Second) || p.err != nil {
		t.Errorf("it ended with %v\n%s", p.err, p.out)
	}
}

// TestContainerWorkers: two workers in a container without privileges, on two queues.
func TestContainerWorkers(t *testing.T) {
	p, m := contained(t, "server", 2, strings.NewReplacer())
	p.start(t)
	p.ready(t, "\nready\n")
	serving := regexp.MustCompile(`(?m)^([01]) +\d +\d +\d+ +serving .* 0 +yes `)
	var said string
	for start := time.Now(); len(serving.FindAllString(said, -1)) != 2; time.Sleep(50 * time.Millisecond) {
		if said = m.run(t, "status"); time.Since(start) > 30*time.Second {
			t.Fatalf("not two workers serve: %s", said)
		}
	}
	p.meetEach(t, 2, 1000)
	m.run(t, "podman stop")
	if !p.ended(20*time.Second) || p.err != nil {
		t.Errorf("it ended with %v\n%s", p.err, p.out)
	}
}

// TestContainerLacks something that it needs, and says what.
func TestContainerLacks(t *testing.T) {
	p, m := contained(t, "http", 2, strings.NewReplacer())
	socket := m.other.Replace("/run/fstack-vhost/port0")
	run := strings.ReplaceAll(p.cmd.Args[3], "\\\n\t", "")
	without := func(what string) string {
		for option := range strings.SplitSeq(run, " --") {
			if strings.Contains(option, what) {
				return strings.Replace(run, " --"+option, "", 1)
			}
		}
		t.Fatalf("no %s in %s", what, run)
		return ""
	}
	for _, tt := range []struct {
		name, command string
		own           int // the socket
		want          []string
	}{
		{"the hugetlbfs", without("/dev/hugepages"), 1000, []string{"no hugetlbfs is mounted", "in a container pass the mount in"}},
		{"the right to the hugetlbfs", strings.Replace(run, "1000:1000", "1001:1001", 1), 1001, []string{"hugepages at /dev/hugepages", "no right to write there"}},
		{"the socket", without("/run/vhost"), 1000, []string{"virtio_user0", "no such file", "start the vhost side first"}},
		{"the right to the socket", run, 0, []string{"virtio_user0", "no right to write to the socket", "chown"}},
		{"a directory to write to", strings.Replace(run, "--read-only ", "--read-only --read-only-tmpfs=false ", 1), 1000, []string{"file_prefix", "/tmp/fstack", "XDG_RUNTIME_DIR"}},
		{"a CPU", strings.Replace(run, "--read-only ", "--read-only --cpuset-cpus 0 ", 1), 1000, []string{"lcore 1 is CPU 1", "may not use it (it may use 0)", "lcores=1@0"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := os.Chown(socket, tt.own, tt.own); err != nil {
				t.Fatal(err)
			}
			p := prepare(t, "http")
			p.cmd = exec.Command("sh", "-c", tt.command)
			p.cmd.Env = append(os.Environ(), m.env...)
			said := p.fails(t)
			for _, want := range tt.want {
				if !strings.Contains(said, want) {
					t.Errorf("no %q in what the program says:\n%s", want, said)
				}
			}
		})
	}
}
