package process

import (
	"context"
	"time"

	v1 "berth/berthd/gen/berth/v1"

	"connectrpc.com/connect"
)

// keepAlive is how often a stream without output sends a keep-alive event.
const keepAlive = 15 * time.Second

// follow sends a program's events until the program ends or the caller disconnects.
func (s *Service) follow(ctx context.Context, p *program, at *cursor, stream *connect.ServerStream[v1.ProcessEvent]) error {
	started := &v1.ProcessStarted{Id: p.id, Pid: uint32(p.child.Pid)}
	if err := stream.Send(&v1.ProcessEvent{Kind: &v1.ProcessEvent_Started{Started: started}}); err != nil {
		return err
	}
	quiet := time.NewTimer(keepAlive)
	defer quiet.Stop()
	lost := uint64(0)
	for {
		found, dropped, changed, closed := p.output.next(at)
		lost += dropped
		var event *v1.ProcessEvent
		switch {
		case len(found.bytes) > 0:
			data := &v1.ProcessData{Stream: found.stream, Offset: found.offset, Data: found.bytes, Dropped: lost}
			event = &v1.ProcessEvent{Kind: &v1.ProcessEvent_Data{Data: data}}
			lost = 0
			s.Activity.Touch()
		case closed:
			<-p.ended
			ended := p.end()
			ended.Dropped = lost
			return stream.Send(&v1.ProcessEvent{Kind: &v1.ProcessEvent_Ended{Ended: ended}})
		default:
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-changed:
				continue
			case <-quiet.C:
				event = &v1.ProcessEvent{Kind: &v1.ProcessEvent_KeepAlive{KeepAlive: &v1.KeepAlive{}}}
			}
		}
		if err := stream.Send(event); err != nil {
			return err
		}
		quiet.Reset(keepAlive)
	}
}
