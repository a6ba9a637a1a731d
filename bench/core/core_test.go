package core

import (
	"os"
	"os/exec"
	"testing"
	"time"
)

func TestTimes(t *testing.T) {
	if err := Pin(0); err != nil {
		t.Skip(err)
	}
	thread, process, other := ThreadTime(), ProcessTime(), TimeOf(os.Getpid())
	for begin := time.Now(); ThreadTime()-thread < 10*time.Millisecond && time.Since(begin) < 20*time.Second; {
	}
	if d := ThreadTime() - thread; d < 10*time.Millisecond {
		t.Errorf("a busy thread ran for %v", d)
	}
	if d := ProcessTime() - process; d < 10*time.Millisecond {
		t.Errorf("its process ran for %v", d)
	}
	if d := TimeOf(os.Getpid()) - other; d < 10*time.Millisecond {
		t.Errorf("its process ran for %v, by its number", d)
	}
	if err := Pin(1 << 9); err == nil {
		t.Error("there is no CPU 512")
	}
}

func TestTimeOfNobody(t *testing.T) {
	cmd := exec.Command("true")
	if err := cmd.Run(); err != nil {
		t.Skip(err)
	}
	if d := TimeOf(cmd.Process.Pid); d != 0 {
		t.Errorf("a process that is gone runs for %v", d)
	}
}
