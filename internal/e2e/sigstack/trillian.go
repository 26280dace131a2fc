package sigstack

import (
	"context"
	"fmt"
	"net"
	"time"

	"github.com/google/trillian"
	"github.com/google/trillian/extension"
	tlog "github.com/google/trillian/log"
	"github.com/google/trillian/monitoring"
	"github.com/google/trillian/quota"
	"github.com/google/trillian/server"
	"github.com/google/trillian/storage"
	"github.com/google/trillian/storage/memory"
	"github.com/google/trillian/storage/testonly"
	"github.com/google/trillian/util/clock"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// startTrillian runs a Trillian log server over memory, with its sequencer,
// and makes one log in it.
func startTrillian(ctx context.Context) (client trillian.TrillianLogClient, addr *net.TCPAddr, treeID int64, err error) {
	ts := memory.NewTreeStorage()
	reg := extension.Registry{
		AdminStorage:  memory.NewAdminStorage(ts),
		LogStorage:    memory.NewLogStorage(ts, monitoring.InertMetricFactory{}),
		QuotaManager:  quota.Noop(),
		MetricFactory: monitoring.InertMetricFactory{},
	}
	tree, err := storage.CreateTree(ctx, reg.AdminStorage, testonly.LogTree)
	if err != nil {
		return nil, nil, 0, fmt.Errorf("create tree: %w", err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, 0, err
	}
	gs := grpc.NewServer()
	trillian.RegisterTrillianLogServer(gs, server.NewTrillianLogRPCServer(reg, clock.System))
	go gs.Serve(l)
	sequencer := tlog.NewOperationManager(tlog.OperationInfo{
		Registry: reg, BatchSize: 100, NumWorkers: 1, RunInterval: 20 * time.Millisecond, TimeSource: clock.System,
	}, tlog.NewSequencerManager(reg, 0))
	go sequencer.OperationLoop(ctx)
	cc, err := grpc.NewClient(l.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil, nil, 0, err
	}
	client = trillian.NewTrillianLogClient(cc)
	if _, err := client.InitLog(ctx, &trillian.InitLogRequest{LogId: tree.TreeId}); err != nil {
		return nil, nil, 0, fmt.Errorf("init log: %w", err)
	}
	return client, l.Addr().(*net.TCPAddr), tree.TreeId, nil
}
