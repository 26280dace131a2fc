package sigstack

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"
)

// roleVariable names the environment variable by which Start tells a child,
// which is this same program, which server to be.
const roleVariable = "HALLMARK_SIGSTACK_ROLE"

// The servers that run as children. Rekor keeps its code internal and reads
// global configuration, the timestamp authority has one signer per process,
// and Trillian starts goroutines that nothing stops: a process each is what
// lets Stop leave nothing behind and two stacks run side by side.
var roles = map[string]func(context.Context, childConfig) (childReady, error){
	"ca":     serveCA,
	"tsa":    serveTSA,
	"rekor1": serveRekor1,
}

// A childConfig is what Start writes to a child's standard input, as one line.
type childConfig struct {
	Dir     string // where the files named below are
	Fulcio  []byte // Fulcio's configuration, YAML
	CTLog   bool
	Args    []string // rekor2: command line
	KeyPass string
}

// A childReady is what a child writes to its standard output, as one line,
// once it serves.
type childReady struct {
	URL       string
	CTURL     string
	PublicKey []byte // rekor1: DER
	Chain     []byte // tsa: PEM
}

// Main must be called first thing by the main function, or the TestMain, of
// a program that calls [Start]. In a child of such a program it serves until
// the parent is gone and never returns; otherwise it does nothing.
func Main() {
	role := os.Getenv(roleVariable)
	if role == "" {
		return
	}
	// The variable must not reach processes that a server might start.
	os.Unsetenv(roleVariable)
	if err := child(role); err != nil {
		fmt.Fprintln(os.Stderr, "sigstack:", role+":", err)
		os.Exit(1)
	}
	os.Exit(0)
}

func child(role string) error {
	dec := json.NewDecoder(os.Stdin)
	var cfg childConfig
	if err := dec.Decode(&cfg); err != nil {
		return fmt.Errorf("read configuration: %w", err)
	}
	// The parent holds the other end of standard input: end of file means
	// that it has stopped us or is dead, however it died.
	gone := make(chan struct{})
	go func() {
		io.Copy(io.Discard, os.Stdin)
		close(gone)
	}()
	if role == "rekor2" {
		go func() {
			<-gone
			os.Exit(0)
		}()
		return serveRekor2(cfg)
	}
	serve := roles[role]
	if serve == nil {
		return fmt.Errorf("unknown role")
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	ready, err := serve(ctx, cfg)
	if err != nil {
		return err
	}
	if err := json.NewEncoder(os.Stdout).Encode(ready); err != nil {
		return err
	}
	<-gone
	return nil
}

// serveHTTP serves h on a free loopback port until the process ends and
// returns the base URL.
func serveHTTP(h http.Handler) (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	srv := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	go srv.Serve(l)
	return "http://" + l.Addr().String(), nil
}
