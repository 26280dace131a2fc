// Package sigstack runs a whole Sigstore on loopback: an OIDC issuer of our
// own, the real Fulcio over a file CA, a real CT log (Google's CTFE over
// Trillian), the real Rekor v2 (rekor-tiles over POSIX files), if asked the
// real Rekor v1, real timestamp authorities, and a TUF repository that serves
// trusted_root.json and signing_config.v0.2.json. No Docker and no network
// but loopback.
//
// The servers are this same program started again, so a program that uses the
// package calls [Main] first:
//
//	func TestMain(m *testing.M) {
//		sigstack.Main()
//		os.Exit(m.Run())
//	}
//
//	stack, err := sigstack.Start(ctx, t.TempDir(), sigstack.Options{})
//	defer stack.Stop()
//	token := stack.GitHubToken(sigstack.GitHubJob{Repository: "acme/app"})
//
// A stack is up in about a tenth of a second; an entry in its log takes up to
// one second, since rekor-tiles looks for the checkpoint once a second.
package sigstack

import (
	"bufio"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"

	trustroot "github.com/sigstore/protobuf-specs/gen/pb-go/trustroot/v1"
	"github.com/sigstore/rekor-tiles/v2/pkg/note"
	"github.com/sigstore/sigstore-go/pkg/root"
)

// The origins of the two logs: the first line of their checkpoints.
const (
	RekorOrigin  = "rekor.test"
	Rekor1Origin = "rekor1.test"
)

// Operator is the operator of every service in trusted root and signing
// configuration, save that the timestamp authorities beyond the first have
// operators of their own.
const Operator = "stack.test"

// Options say what to start. The zero value starts one of each, with a CT log
// and without Rekor v1.
type Options struct {
	NoCTLog bool // certificates without SCT
	RekorV1 bool // a Rekor v1 as well
	TSAs    int  // timestamp authorities; 0 means 1

	// User is the e-mail address whom the browser and device flows log in;
	// empty means "dev@example.com".
	User string
}

// A Stack is a running Sigstore. Its fields are not to be changed.
type Stack struct {
	FulcioURL string
	CTLogURL  string   // "" without CT log
	RekorURL  string   // Rekor v2
	TilesURL  string   // reads of the Rekor v2 log: checkpoint and tiles
	Rekor1URL string   // "" without Rekor v1
	TSAURLs   []string // full endpoints
	TUFURL    string

	TrustedRoot   []byte // trusted_root.json
	SigningConfig []byte // signing_config.v0.2.json, with Rekor v2
	// SigningConfigV1 is the same with Rekor v1; nil without.
	SigningConfigV1 []byte

	Issuer *Issuer
	TUF    *TUFRepository

	dir      string
	children []*childProcess
	servers  []*http.Server
	stopOnce sync.Once
	stopErr  error
}

// Start starts a stack whose files are in a new folder under dir. It returns
// when every server answers. ctx bounds the start only; the stack runs until
// Stop, or until this process ends in whatever way.
func Start(ctx context.Context, dir string, opts Options) (_ *Stack, err error) {
	if dir, err = os.MkdirTemp(dir, "sigstack-"); err != nil {
		return nil, err
	}
	s := &Stack{dir: dir}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Stop())
		}
	}()
	caCert, ctPub, err := s.makeKeys()
	if err != nil {
		return nil, err
	}
	s.Issuer, err = newIssuer(opts.User)
	if err != nil {
		return nil, err
	}
	issuerURL, err := s.serve(s.Issuer)
	if err != nil {
		return nil, err
	}
	s.Issuer.setURL(issuerURL)

	const password = "stack"
	var wg sync.WaitGroup
	var mu sync.Mutex
	var errs []error
	each := func(name string, f func() error) {
		wg.Go(func() {
			if err := f(); err != nil {
				mu.Lock()
				errs = append(errs, fmt.Errorf("%s: %w", name, err))
				mu.Unlock()
			}
		})
	}
	each("fulcio and ct log", func() error {
		ready, err := s.child(ctx, &mu, "ca", childConfig{Dir: dir, Fulcio: s.Issuer.fulcioConfig(), CTLog: !opts.NoCTLog, KeyPass: password})
		if err != nil {
			return err
		}
		s.FulcioURL, s.CTLogURL = ready.URL, ready.CTURL
		if s.CTLogURL != "" {
			if err := waitFor(ctx, s.CTLogURL+"/ct/v1/get-sth", nil); err != nil {
				return err
			}
		}
		return waitFor(ctx, s.FulcioURL+"/api/v2/trustBundle", nil)
	})
	n := max(opts.TSAs, 1)
	s.TSAURLs = make([]string, n)
	chains := make([][]byte, n)
	for i := range n {
		each("timestamp authority", func() error {
			ready, err := s.child(ctx, &mu, "tsa", childConfig{})
			if err != nil {
				return err
			}
			s.TSAURLs[i], chains[i] = ready.URL, ready.Chain
			return waitFor(ctx, ready.URL+"/certchain", nil)
		})
	}
	var rekorKey ed25519.PublicKey
	each("rekor v2", func() (err error) {
		rekorKey, err = s.startRekor2(ctx, &mu)
		return err
	})
	var rekor1Key []byte
	if opts.RekorV1 {
		each("rekor v1", func() error {
			ready, err := s.child(ctx, &mu, "rekor1", childConfig{})
			if err != nil {
				return err
			}
			s.Rekor1URL, rekor1Key = ready.URL, ready.PublicKey
			return waitFor(ctx, ready.URL+"/api/v1/log", nil)
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	if s.TilesURL, err = s.serve(http.FileServer(http.Dir(filepath.Join(dir, "log")))); err != nil {
		return nil, err
	}
	if err := s.makeTrust(caCert, ctPub, rekorKey, rekor1Key, chains); err != nil {
		return nil, err
	}
	s.TUF, err = NewTUFRepository()
	if err != nil {
		return nil, err
	}
	err = s.TUF.Publish(map[string][]byte{
		"trusted_root.json":        s.TrustedRoot,
		"signing_config.v0.2.json": s.SigningConfig,
	}, time.Now().Add(24*time.Hour))
	if err != nil {
		return nil, err
	}
	s.TUFURL, err = s.serve(s.TUF)
	return s, err
}

// Stop ends every process, closes every port and removes every file of the
// stack. It may be called more than once.
func (s *Stack) Stop() error {
	s.stopOnce.Do(func() {
		var errs []error
		for _, srv := range s.servers {
			errs = append(errs, srv.Close())
		}
		for _, c := range s.children {
			c.stdin.Close()
		}
		for _, c := range s.children {
			c.stop()
		}
		http.DefaultClient.CloseIdleConnections()
		errs = append(errs, os.RemoveAll(s.dir))
		s.stopErr = errors.Join(errs...)
	})
	return s.stopErr
}

// serve serves h on a free loopback port until Stop.
func (s *Stack) serve(h http.Handler) (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	srv := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	s.servers = append(s.servers, srv)
	go srv.Serve(l)
	return "http://" + l.Addr().String(), nil
}

// A childProcess is one server. It ends when its standard input does.
type childProcess struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser
	log   string
	done  chan struct{} // closed when it has ended
}

func (c *childProcess) stop() {
	c.stdin.Close()
	select {
	case <-c.done:
	case <-time.After(3 * time.Second):
		c.cmd.Process.Kill()
		<-c.done
	}
}

// tail returns the end of what the child wrote to standard error.
func (c *childProcess) tail() string {
	b, _ := os.ReadFile(c.log)
	return string(b[max(0, len(b)-2000):])
}

// start starts this program again as the server of a role.
func (s *Stack) start(mu *sync.Mutex, role string, cfg childConfig) (*childProcess, io.Reader, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, nil, err
	}
	logFile, err := os.CreateTemp(s.dir, role+"-*.log")
	if err != nil {
		return nil, nil, err
	}
	defer logFile.Close()
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), roleVariable+"="+role)
	cmd.Dir = s.dir
	cmd.Stderr = logFile
	cmd.SysProcAttr = dieWithParent()
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, nil, err
	}
	// Not cmd.StdoutPipe, which Wait would close under the reader.
	r, w, err := os.Pipe()
	if err != nil {
		stdin.Close()
		return nil, nil, err
	}
	cmd.Stdout = w
	err = cmd.Start()
	w.Close()
	if err != nil {
		stdin.Close()
		r.Close()
		return nil, nil, err
	}
	c := &childProcess{cmd: cmd, stdin: stdin, log: logFile.Name(), done: make(chan struct{})}
	go func() {
		cmd.Wait()
		close(c.done)
	}()
	mu.Lock()
	s.children = append(s.children, c)
	mu.Unlock()
	if err := json.NewEncoder(stdin).Encode(cfg); err != nil {
		r.Close()
		return nil, nil, fmt.Errorf("%w: %s", err, c.tail())
	}
	return c, r, nil
}

// child starts a server that says when it is ready.
func (s *Stack) child(ctx context.Context, mu *sync.Mutex, role string, cfg childConfig) (childReady, error) {
	var ready childReady
	c, stdout, err := s.start(mu, role, cfg)
	if err != nil {
		return ready, err
	}
	got := make(chan error, 1)
	go func() {
		defer stdout.(io.Closer).Close()
		line, err := bufio.NewReader(stdout).ReadBytes('\n')
		if err == nil {
			err = json.Unmarshal(line, &ready)
		}
		got <- err
		io.Copy(io.Discard, stdout)
	}()
	select {
	case err = <-got:
	case <-ctx.Done():
		c.stop()
		<-got
		err = ctx.Err()
	}
	if err != nil {
		return childReady{}, fmt.Errorf("%w; its output ends: %s", err, c.tail())
	}
	return ready, nil
}

// startRekor2 starts rekor-tiles. It wants port numbers, so they are picked
// free and, should another process take one in between, picked again.
func (s *Stack) startRekor2(ctx context.Context, mu *sync.Mutex) (ed25519.PublicKey, error) {
	pub, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	keyFile := filepath.Join(s.dir, "rekor.pem")
	if err := writePEM(keyFile, "PRIVATE KEY", der); err != nil {
		return nil, err
	}
	for range 3 {
		var ports [3]int
		if ports, err = freePorts(); err != nil {
			return nil, err
		}
		var c *childProcess
		var stdout io.Reader
		c, stdout, err = s.start(mu, "rekor2", childConfig{Args: []string{
			"serve",
			"--http-address=127.0.0.1", fmt.Sprintf("--http-port=%d", ports[0]),
			"--grpc-address=127.0.0.1", fmt.Sprintf("--grpc-port=%d", ports[1]),
			fmt.Sprintf("--http-metrics-port=%d", ports[2]),
			"--hostname=" + RekorOrigin, "--storage-dir=" + filepath.Join(s.dir, "log"),
			"--signer-filepath=" + keyFile, "--checkpoint-interval=100ms", "--batch-max-age=10ms",
		}})
		if err != nil {
			return nil, err
		}
		go func() {
			io.Copy(io.Discard, stdout)
			stdout.(io.Closer).Close()
		}()
		url := fmt.Sprintf("http://127.0.0.1:%d", ports[0])
		if err = waitFor(ctx, url+"/healthz", c.done); err == nil {
			s.RekorURL = url
			return pub, nil
		}
		c.stop()
		err = fmt.Errorf("%w; its output ends: %s", err, c.tail())
		if ctx.Err() != nil {
			break
		}
	}
	return nil, err
}

func freePorts() (ports [3]int, err error) {
	for i := range ports {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return ports, err
		}
		defer l.Close() // all are open at once, so they differ
		ports[i] = l.Addr().(*net.TCPAddr).Port
	}
	return ports, nil
}

// waitFor asks url until it answers with 200, gone is closed, ten seconds
// have passed or ctx is done.
func waitFor(ctx context.Context, url string, gone <-chan struct{}) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	var last error
	for {
		req, err := http.NewRequestWithContext(ctx, "GET", url, nil)
		if err != nil {
			return err
		}
		resp, err := http.DefaultClient.Do(req)
		if err == nil {
			body, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
			resp.Body.Close()
			if resp.StatusCode == 200 {
				return nil
			}
			err = fmt.Errorf("%s: %s", resp.Status, body)
		}
		last = err
		select {
		case <-gone:
			return fmt.Errorf("%s: the server ended: %w", url, last)
		case <-ctx.Done():
			return fmt.Errorf("%s: %w: %w", url, ctx.Err(), last)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// makeKeys writes the keys of the CA and of the CT log, which want them in
// files, encrypted after RFC 1423.
func (s *Stack) makeKeys() (*x509.Certificate, *ecdsa.PublicKey, error) {
	caKey, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{Organization: []string{Operator}, CommonName: "fulcio"},
		NotBefore:    now.Add(-time.Minute), NotAfter: now.Add(7 * 24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, MaxPathLen: 1,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, caKey.Public(), caKey)
	if err != nil {
		return nil, nil, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, nil, err
	}
	ctKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	ctDER, err := x509.MarshalPKIXPublicKey(ctKey.Public())
	if err != nil {
		return nil, nil, err
	}
	return cert, &ctKey.PublicKey, errors.Join(
		writePEM(filepath.Join(s.dir, caCertFile), "CERTIFICATE", der),
		writeECKey(filepath.Join(s.dir, caKeyFile), caKey),
		writeECKey(filepath.Join(s.dir, ctKeyFile), ctKey),
		writePEM(filepath.Join(s.dir, ctPubFile), "PUBLIC KEY", ctDER),
	)
}

func writeECKey(path string, key *ecdsa.PrivateKey) error {
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return err
	}
	//lint:ignore SA1019 the servers read no other encryption
	block, err := x509.EncryptPEMBlock(rand.Reader, "EC PRIVATE KEY", der, []byte("stack"), x509.PEMCipherAES256)
	if err != nil {
		return err
	}
	return os.WriteFile(path, pem.EncodeToMemory(block), 0o600)
}

func writePEM(path, kind string, der []byte) error {
	return os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600)
}

// makeTrust writes down who is to be trusted and where to sign.
func (s *Stack) makeTrust(caCert *x509.Certificate, ctPub *ecdsa.PublicKey, rekorKey ed25519.PublicKey, rekor1Key []byte, tsaChains [][]byte) error {
	start := time.Now().Add(-time.Hour).Truncate(time.Second)
	cas := []root.CertificateAuthority{&root.FulcioCertificateAuthority{Root: caCert, ValidityPeriodStart: start, URI: s.FulcioURL}}

	ctlogs := map[string]*root.TransparencyLog{}
	addLog := func(logs map[string]*root.TransparencyLog, origin string, id []byte, key crypto.PublicKey, hash crypto.Hash) {
		logs[hex.EncodeToString(id)] = &root.TransparencyLog{
			BaseURL: "http://" + origin, ID: id, ValidityPeriodStart: start,
			HashFunc: crypto.SHA256, PublicKey: key, SignatureHashFunc: hash,
		}
	}
	if s.CTLogURL != "" {
		der, err := x509.MarshalPKIXPublicKey(ctPub)
		if err != nil {
			return err
		}
		id := sha256.Sum256(der)
		addLog(ctlogs, "ct.test", id[:], ctPub, crypto.SHA256)
	}
	tlogs := map[string]*root.TransparencyLog{}
	_, id, err := note.KeyHash(RekorOrigin, rekorKey)
	if err != nil {
		return err
	}
	addLog(tlogs, RekorOrigin, id, rekorKey, crypto.SHA512)
	if rekor1Key != nil {
		pub, err := x509.ParsePKIXPublicKey(rekor1Key)
		if err != nil {
			return err
		}
		id := sha256.Sum256(rekor1Key)
		addLog(tlogs, Rekor1Origin, id[:], pub, crypto.SHA256)
	}
	var tsas []root.TimestampingAuthority
	var tsaServices []root.Service
	for i, chainPEM := range tsaChains {
		var chain []*x509.Certificate
		for block, rest := pem.Decode(chainPEM); block != nil; block, rest = pem.Decode(rest) {
			cert, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				return err
			}
			chain = append(chain, cert)
		}
		if len(chain) < 2 {
			return fmt.Errorf("timestamp authority: chain of %d certificates", len(chain))
		}
		tsas = append(tsas, &root.SigstoreTimestampingAuthority{
			Root: chain[len(chain)-1], Intermediates: chain[1 : len(chain)-1], Leaf: chain[0],
			ValidityPeriodStart: start, URI: s.TSAURLs[i],
		})
		operator := Operator
		if i > 0 {
			operator = fmt.Sprintf("tsa%d.%s", i, Operator)
		}
		tsaServices = append(tsaServices, root.Service{URL: s.TSAURLs[i], MajorAPIVersion: 1, ValidityPeriodStart: start, Operator: operator})
	}
	trusted, err := root.NewTrustedRoot(root.TrustedRootMediaType01, cas, ctlogs, tsas, tlogs)
	if err != nil {
		return err
	}
	if s.TrustedRoot, err = trusted.MarshalJSON(); err != nil {
		return err
	}

	service := func(url string, version uint32) []root.Service {
		return []root.Service{{URL: url, MajorAPIVersion: version, ValidityPeriodStart: start, Operator: Operator}}
	}
	tsaSelector := root.ServiceConfiguration{Selector: trustroot.ServiceSelector_ANY}
	if n := len(tsaServices); n > 1 {
		tsaSelector = root.ServiceConfiguration{Selector: trustroot.ServiceSelector_EXACT, Count: uint32(n)}
	}
	config := func(rekor []root.Service) ([]byte, error) {
		c, err := root.NewSigningConfig(root.SigningConfigMediaType02,
			service(s.FulcioURL, 1), service(s.Issuer.URL(Email), 1),
			rekor, root.ServiceConfiguration{Selector: trustroot.ServiceSelector_ANY},
			tsaServices, tsaSelector)
		if err != nil {
			return nil, err
		}
		return c.MarshalJSON()
	}
	if s.SigningConfig, err = config(service(s.RekorURL, 2)); err != nil {
		return err
	}
	if s.Rekor1URL != "" {
		s.SigningConfigV1, err = config(service(s.Rekor1URL, 1))
	}
	return err
}
