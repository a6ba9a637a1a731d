package posix

// Serve has the stack's loop call loop once a turn, and stop with the first error that it returns. From then on
// no call on the table blocks. It is called before the stack's loop starts. The stack rests while loop gets
// nothing to do from EpollWait, Poll, Select, Accept or a receive.
func (t *Table) Serve(loop func() error, stop func(error)) {
	t.loop = true
	failed := false
	t.stack.Serve = func() bool {
		if failed {
			return false
		}
		if err := loop(); err != nil {
			failed = true
			stop(err)
			return true
		}
		if t.busy.Load() {
			t.busy.Store(false)
			return true
		}
		return false
	}
}
