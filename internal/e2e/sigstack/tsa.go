package sigstack

import (
	"context"
	"io"
	"net/http/httptest"
	"time"

	"github.com/sigstore/timestamp-authority/v2/pkg/server"
	"github.com/spf13/viper"
)

const timestampPath = "/api/v1/timestamp"

// serveTSA runs the Sigstore timestamp authority with a fresh key in memory.
func serveTSA(_ context.Context, _ childConfig) (childReady, error) {
	for k, v := range map[string]any{
		"timestamp-signer":            "memory",
		"timestamp-signer-hash":       "sha256",
		"default-policy-oid":          "1.3.6.1.4.1.57264.2",
		"accepted-policy-oids":        []string{"1.3.6.1.4.1.57264.2"},
		"http-request-id-header-name": "X-Request-ID",
		"max-request-body-size":       1 << 20,
	} {
		viper.Set(k, v)
	}
	h := server.NewRestAPIServer("127.0.0.1", 0, []string{"http"}, false, 30*time.Second, 30*time.Second).GetHandler()
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, httptest.NewRequest("GET", timestampPath+"/certchain", nil))
	chain, err := io.ReadAll(rec.Result().Body)
	if err != nil {
		return childReady{}, err
	}
	url, err := serveHTTP(h)
	return childReady{URL: url + timestampPath, Chain: chain}, err
}
