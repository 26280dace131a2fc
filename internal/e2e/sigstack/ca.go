package sigstack

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	ctclient "github.com/google/certificate-transparency-go/client"
	"github.com/google/certificate-transparency-go/jsonclient"
	"github.com/google/certificate-transparency-go/trillian/ctfe"
	"github.com/google/certificate-transparency-go/trillian/ctfe/configpb"
	"github.com/google/trillian/crypto/keys"
	keyspem "github.com/google/trillian/crypto/keys/pem"
	"github.com/google/trillian/crypto/keyspb"
	"github.com/google/trillian/monitoring"
	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"github.com/sigstore/fulcio/pkg/ca/fileca"
	"github.com/sigstore/fulcio/pkg/config"
	"github.com/sigstore/fulcio/pkg/generated/protobuf"
	fulcio "github.com/sigstore/fulcio/pkg/server"
	v1 "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	"github.com/sigstore/sigstore/pkg/signature"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/anypb"
)

// Files that Start puts in a child's directory.
const (
	caCertFile = "ca.pem"
	caKeyFile  = "ca.key"
	ctKeyFile  = "ct.key"
	ctPubFile  = "ct.pub"
)

// serveCA runs Fulcio over its file CA, and the CT log that it logs to.
func serveCA(ctx context.Context, cfg childConfig) (childReady, error) {
	var ready childReady
	var ct *ctclient.LogClient
	if cfg.CTLog {
		url, err := serveCT(ctx, cfg)
		if err != nil {
			return ready, fmt.Errorf("ct log: %w", err)
		}
		pub, err := os.ReadFile(filepath.Join(cfg.Dir, ctPubFile))
		if err != nil {
			return ready, err
		}
		ct, err = ctclient.New(url, &http.Client{Timeout: 30 * time.Second}, jsonclient.Options{PublicKey: string(pub)})
		if err != nil {
			return ready, err
		}
		ready.CTURL = url
	}
	fcfg, err := config.Read(cfg.Fulcio)
	if err != nil {
		return ready, fmt.Errorf("fulcio configuration: %w", err)
	}
	ca, err := fileca.NewFileCA(filepath.Join(cfg.Dir, caCertFile), filepath.Join(cfg.Dir, caKeyFile), cfg.KeyPass, false)
	if err != nil {
		return ready, fmt.Errorf("fulcio: %w", err)
	}
	algorithms, err := signature.NewAlgorithmRegistryConfig([]v1.PublicKeyDetails{
		v1.PublicKeyDetails_PKIX_ECDSA_P256_SHA_256,
		v1.PublicKeyDetails_PKIX_ECDSA_P384_SHA_384,
		v1.PublicKeyDetails_PKIX_ECDSA_P521_SHA_512,
		v1.PublicKeyDetails_PKIX_ED25519,
	})
	if err != nil {
		return ready, err
	}
	srv := fulcio.NewGRPCCAServer(ct, ca, algorithms, fulcio.NewIssuerPool(fcfg))
	gs := grpc.NewServer(grpc.UnaryInterceptor(func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		return handler(config.With(ctx, fcfg), req)
	}))
	protobuf.RegisterCAServer(gs, srv)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return ready, err
	}
	go gs.Serve(l)
	// The HTTP gateway in front, as Fulcio's own command sets it up.
	mux := runtime.NewServeMux(runtime.WithMetadata(func(_ context.Context, r *http.Request) metadata.MD {
		return metadata.Pairs(fulcio.MetadataOIDCTokenKey, strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "))
	}))
	err = protobuf.RegisterCAHandlerFromEndpoint(ctx, mux, l.Addr().String(), []grpc.DialOption{grpc.WithTransportCredentials(insecure.NewCredentials())})
	if err != nil {
		return ready, err
	}
	ready.URL, err = serveHTTP(mux)
	return ready, err
}

// serveCT runs Google's CT front end over Trillian and returns its URL.
func serveCT(ctx context.Context, cfg childConfig) (string, error) {
	keys.RegisterHandler(&keyspb.PEMKeyFile{}, keyspem.FromProto)
	client, _, treeID, err := startTrillian(ctx)
	if err != nil {
		return "", err
	}
	key, err := anypb.New(&keyspb.PEMKeyFile{Path: filepath.Join(cfg.Dir, ctKeyFile), Password: cfg.KeyPass})
	if err != nil {
		return "", err
	}
	validated, err := ctfe.ValidateLogConfig(&configpb.LogConfig{
		LogId: treeID, Prefix: "test", RootsPemFile: []string{filepath.Join(cfg.Dir, caCertFile)},
		PrivateKey: key, ExtKeyUsages: []string{"CodeSigning"}, MaxMergeDelaySec: 10,
	})
	if err != nil {
		return "", err
	}
	inst, err := ctfe.SetUpInstance(ctx, ctfe.InstanceOptions{
		Validated: validated, Client: client, Deadline: 10 * time.Second,
		MetricFactory: monitoring.InertMetricFactory{}, RequestLog: &ctfe.DefaultRequestLog{},
	})
	if err != nil {
		return "", err
	}
	mux := http.NewServeMux()
	for path, h := range inst.Handlers {
		mux.Handle(strings.TrimSuffix(path, "/"), h)
	}
	url, err := serveHTTP(mux)
	return url + "/test", err
}
