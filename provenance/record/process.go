package record

import (
	"context"
	"io"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"time"

	"github.com/hallmark-build/hallmark/internal/limits"
)

// A child is a process to be run. Its standard input is empty.
type child struct {
	path           string
	argv, env      []string
	dir            string
	stdout, stderr io.Writer     // each is written to by one goroutine
	grace          time.Duration // from the request to end to the order
}

// An ending says how a child ended.
type ending struct {
	code     int    // exit code; -1 after a signal
	signal   string // "SIGKILL"; "" if it exited
	lingered bool   // something kept its output open after it had ended
}

// run starts the child in a process group of its own and returns when the
// child, its group and the goroutines that read its output are gone. The error
// is that of the start. When ctx ends, the group is asked to end and, after
// the grace, killed.
func (c *child) run(ctx context.Context) (end ending, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		// The kernel sends the parent-death signal when the thread that
		// started the child ends, so this one has to stay.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		end, err = c.runOnThread(ctx)
	}()
	<-done
	return end, err
}

func (c *child) runOnThread(ctx context.Context) (end ending, err error) {
	outR, outW, err := os.Pipe()
	if err != nil {
		return end, err
	}
	defer outR.Close()
	errR, errW, err := os.Pipe()
	if err != nil {
		outW.Close()
		return end, err
	}
	defer errR.Close()

	cmd := &exec.Cmd{Path: c.path, Args: c.argv, Env: c.env, Dir: c.dir, Stdout: outW, Stderr: errW, SysProcAttr: processAttributes()}
	if cmd.Env == nil {
		cmd.Env = []string{} // nil would be the whole environment
	}
	err = cmd.Start()
	outW.Close()
	errW.Close()
	if err != nil {
		return end, err
	}

	var readers sync.WaitGroup
	readers.Go(func() { drain(c.stdout, outR) })
	readers.Go(func() { drain(c.stderr, errR) })
	drained := make(chan struct{})
	go func() {
		readers.Wait()
		close(drained)
	}()

	exited, watched := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(watched)
		select {
		case <-exited:
			return
		case <-ctx.Done():
		}
		terminateGroup(cmd.Process)
		timer := time.NewTimer(c.grace)
		defer timer.Stop()
		select {
		case <-exited:
		case <-timer.C:
			killGroup(cmd.Process)
		}
	}()

	// While the child is a zombie its process group cannot be anyone else's.
	reaped := awaitExit(cmd)
	close(exited)
	<-watched

	timer := time.NewTimer(limits.PipeGrace)
	defer timer.Stop()
	select {
	case <-drained:
	case <-timer.C:
		end.lingered = true
	case <-ctx.Done():
	}
	if !reaped || end.lingered || ctx.Err() != nil {
		killGroup(cmd.Process)
	}
	if !reaped {
		cmd.Wait() // the state below says all that its error does
	}

	// Whoever still holds a pipe has left the group. Let what is in the
	// pipes be read, then close them.
	timer.Reset(limits.PipeGrace / 10)
	select {
	case <-drained:
	case <-timer.C:
		outR.Close()
		errR.Close()
		<-drained
	}
	end.code, end.signal = status(cmd.ProcessState)
	return end, nil
}

// drain reads to the end, in constant memory.
func drain(w io.Writer, r io.Reader) {
	buf := make([]byte, 64<<10)
	for {
		n, err := r.Read(buf)
		if n > 0 && w != nil {
			w.Write(buf[:n])
		}
		if err != nil {
			return
		}
	}
}
