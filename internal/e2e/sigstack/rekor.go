package sigstack

import (
	"context"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"

	"github.com/go-openapi/runtime"
	"github.com/go-openapi/runtime/middleware"
	"github.com/go-openapi/strfmt"
	rekor2 "github.com/sigstore/rekor-tiles/v2/cmd/rekor-server/posix/app"
	"github.com/sigstore/rekor/pkg/api"
	"github.com/sigstore/rekor/pkg/generated/models"
	"github.com/sigstore/rekor/pkg/generated/restapi/operations/entries"
	"github.com/sigstore/rekor/pkg/generated/restapi/operations/pubkey"
	"github.com/sigstore/rekor/pkg/generated/restapi/operations/tlog"
	rekorlog "github.com/sigstore/rekor/pkg/log"
	"github.com/sigstore/rekor/pkg/types"
	"github.com/sigstore/rekor/pkg/types/dsse"
	_ "github.com/sigstore/rekor/pkg/types/dsse/v0.0.1"
	"github.com/sigstore/rekor/pkg/types/hashedrekord"
	_ "github.com/sigstore/rekor/pkg/types/hashedrekord/v0.0.1"
	"github.com/sigstore/rekor/pkg/types/intoto"
	_ "github.com/sigstore/rekor/pkg/types/intoto/v0.0.2"
	"github.com/spf13/viper"
)

// serveRekor2 runs rekor-tiles, whose command is its only entry point.
func serveRekor2(cfg childConfig) error {
	os.Args = append([]string{"rekor-server"}, cfg.Args...)
	rekor2.Execute()
	return nil
}

// serveRekor1 runs Rekor v1 over Trillian, with a fresh key in memory. The
// handlers are Rekor's own; its generated router is not used, because it
// cannot be linked with the timestamp authority's: both define the process's
// command line flags.
func serveRekor1(ctx context.Context, _ childConfig) (childReady, error) {
	var ready childReady
	_, addr, treeID, err := startTrillian(ctx)
	if err != nil {
		return ready, err
	}
	for k, v := range map[string]any{
		"trillian_log_server.address": addr.IP.String(),
		"trillian_log_server.port":    addr.Port,
		"rekor_server.hostname":       Rekor1Origin,
		"rekor_server.signer":         "memory",
		"enable_retrieve_api":         false,
		"enabled_api_endpoints":       []string{"createLogEntry"}, // anything but the search index, which wants Redis
	} {
		viper.Set(k, v)
	}
	rekorlog.ConfigureLogger("prod", "")
	types.SetAllowedKindsForSubmission([]string{hashedrekord.KIND, dsse.KIND, intoto.KIND})
	api.ConfigureAPI(treeID)

	mux := http.NewServeMux()
	handle := func(pattern string, producer runtime.Producer, f func(r *http.Request) (middleware.Responder, error)) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			responder, err := f(r)
			if err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
			w.Header().Set("Content-Type", "application/json")
			responder.WriteResponse(w, producer)
		})
	}
	handle("POST /api/v1/log/entries", runtime.JSONProducer(), func(r *http.Request) (middleware.Responder, error) {
		entry, err := models.UnmarshalProposedEntry(http.MaxBytesReader(nil, r.Body, 32<<20), runtime.JSONConsumer())
		if err != nil {
			return nil, err
		}
		if err := entry.Validate(strfmt.Default); err != nil {
			return nil, err
		}
		return api.CreateLogEntryHandler(entries.CreateLogEntryParams{HTTPRequest: r, ProposedEntry: entry}), nil
	})
	handle("GET /api/v1/log/entries/{uuid}", runtime.JSONProducer(), func(r *http.Request) (middleware.Responder, error) {
		return api.GetLogEntryByUUIDHandler(entries.GetLogEntryByUUIDParams{HTTPRequest: r, EntryUUID: r.PathValue("uuid")}), nil
	})
	handle("GET /api/v1/log", runtime.JSONProducer(), func(r *http.Request) (middleware.Responder, error) {
		return api.GetLogInfoHandler(tlog.GetLogInfoParams{HTTPRequest: r}), nil
	})
	handle("GET /api/v1/log/publicKey", runtime.TextProducer(), func(r *http.Request) (middleware.Responder, error) {
		return api.GetPublicKeyHandler(pubkey.GetPublicKeyParams{HTTPRequest: r}), nil
	})
	rec := httptest.NewRecorder()
	mux.ServeHTTP(rec, httptest.NewRequest("GET", "/api/v1/log/publicKey", nil))
	text, err := io.ReadAll(rec.Result().Body)
	if err != nil {
		return ready, err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return ready, fmt.Errorf("public key: %s", text)
	}
	ready.PublicKey = block.Bytes
	ready.URL, err = serveHTTP(mux)
	return ready, err
}
