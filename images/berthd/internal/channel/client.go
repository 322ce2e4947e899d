// Package channel is how the session's pod talks to the runtime: what its task is, that its desktop is there, when it was last
// used, and how its command ended.
package channel

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"

	"berth/berthd/internal/auth"
)

const (
	callTimeout  = 10 * time.Second
	longestPause = 30 * time.Second
	// longPoll is how long the runtime may hold the question for a task while the session is nobody's.
	longPoll = 25 * time.Second
	// mostAnswerBytes is above what the runtime takes for a task's command, environment and secrets.
	mostAnswerBytes = 4 << 20
)

// Client calls the runtime by the token that only this session's pod has.
type Client struct {
	URL    string
	Tokens auth.TokenFile
	Log    *log.Logger
	http   http.Client
}

// NewClient returns a client of the runtime at the URL. It never uses a proxy, whatever the tenant gives its agents, because
// the runtime is inside the cluster.
func NewClient(url string, tokens auth.TokenFile, logger *log.Logger) *Client {
	transport := &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 2, IdleConnTimeout: time.Minute}
	return &Client{URL: url, Tokens: tokens, Log: logger, http: http.Client{Transport: transport}}
}

// Close closes idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Refused says that the runtime answered, but not with success.
type Refused struct {
	Status int
	Detail string
	// RetryAfter is when the runtime wants to be asked again; nil: it does not say.
	RetryAfter *time.Duration
}

func (r *Refused) Error() string { return fmt.Sprintf("%d %s", r.Status, r.Detail) }

// Call makes one request and decodes the answer's JSON into `answer`, unless that is nil.
func (c *Client) Call(ctx context.Context, method, path string, body, answer any) error {
	return c.call(ctx, method, path, body, answer, 0)
}

func (c *Client) call(ctx context.Context, method, path string, body, answer any, wait time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout+wait)
	defer cancel()
	tokens, err := c.Tokens.Tokens()
	if err != nil {
		return err
	}
	if len(tokens) == 0 {
		return fmt.Errorf("%s holds no token", c.Tokens)
	}
	var payload io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return err
		}
		payload = bytes.NewReader(text)
	}
	request, err := http.NewRequestWithContext(ctx, method, c.URL+path, payload)
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+tokens[0])
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	if wait > 0 {
		request.Header.Set("Prefer", fmt.Sprintf("wait=%d", int(wait.Seconds())))
	}
	response, err := c.http.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, mostAnswerBytes))
	if err != nil {
		return err
	}
	if response.StatusCode < 200 || response.StatusCode > 299 {
		return refused(response, text)
	}
	if answer == nil {
		return nil
	}
	return json.Unmarshal(text, answer)
}

func refused(response *http.Response, text []byte) error {
	var problem struct {
		Detail string `json:"detail"`
	}
	_ = json.Unmarshal(text, &problem)
	found := &Refused{Status: response.StatusCode, Detail: problem.Detail}
	if seconds, err := strconv.ParseUint(response.Header.Get("Retry-After"), 10, 32); err == nil {
		after := time.Duration(min(seconds, 60)) * time.Second
		found.RetryAfter = &after
	}
	return found
}

// insist asks until the runtime answers with success, or the context ends: when the runtime says, or less and less often. The
// log says when it begins to wait.
func (c *Client) insist(ctx context.Context, method, path string, body, answer any, wait time.Duration) error {
	waits, attempt := false, 0
	for {
		asked := time.Now()
		err := c.call(ctx, method, path, body, answer, wait)
		if err == nil {
			if waits {
				c.Log.Printf("%s %s: answered", method, path)
			}
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if !waits {
			c.Log.Printf("%s %s: %v; trying again", method, path, err)
		}
		waits = true
		var pause time.Duration
		pause, attempt = pauseAfter(err, attempt, time.Since(asked))
		if !sleep(ctx, pause) {
			return ctx.Err()
		}
	}
}

// pauseAfter is how long to wait after an error, and the number of the next attempt. A runtime that held the question for a
// while and says to come at once is asked at once.
func pauseAfter(err error, attempt int, took time.Duration) (pause time.Duration, next int) {
	const shortest = 250 * time.Millisecond
	var answer *Refused
	if errors.As(err, &answer) && answer.RetryAfter != nil {
		if *answer.RetryAfter > 0 || took >= time.Second {
			return *answer.RetryAfter, 0
		}
		return shortest, 0
	}
	longest := min(longestPause, shortest<<attempt)
	return longest/2 + rand.N(longest/2), min(attempt+1, 10)
}

// sleep waits, and says whether the context is still there.
func sleep(ctx context.Context, pause time.Duration) bool {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// Task is what the session is to do.
type Task struct {
	Command []string          `json:"command"` // empty: none
	Env     map[string]string `json:"env"`
	Secrets map[string]string `json:"secrets"`
}

// Task asks for the task until there is one, and returns once the runtime knows that it has come and so gives it to nobody else,
// because the session's programs can use this pod's token. While the session is nobody's, the runtime holds the question.
func (c *Client) Task(ctx context.Context) (*Task, error) {
	task := &Task{}
	if err := c.insist(ctx, http.MethodGet, "/session/task", nil, task, longPoll); err != nil {
		return task, err
	}
	for attempt := 0; ; {
		err := c.Call(ctx, http.MethodPost, "/session/task/taken", nil, nil)
		var answer *Refused
		if err == nil || (errors.As(err, &answer) && answer.Status == http.StatusNotFound) { // a runtime of a version before
			return task, nil
		}
		c.Log.Printf("POST /session/task/taken: %v; trying again", err)
		var pause time.Duration
		if pause, attempt = pauseAfter(err, attempt, 0); !sleep(ctx, pause) {
			return task, ctx.Err()
		}
	}
}

// Ready says that the session can be used, and whether it has a desktop.
func (c *Client) Ready(ctx context.Context, desktop bool) error {
	return c.insist(ctx, http.MethodPost, "/session/ready", map[string]any{"desktop": desktop}, nil, 0)
}

// Progress says how far the agent is, in five tries at most. `percent` may be nil.
func (c *Client) Progress(ctx context.Context, message string, percent *float64) error {
	body := map[string]any{"message": message}
	if percent != nil {
		body["percent"] = *percent
	}
	var err error
	for range 5 {
		if err = c.Call(ctx, http.MethodPost, "/session/progress", body, nil); err == nil {
			return nil
		}
		pause := time.Second
		var answer *Refused
		if errors.As(err, &answer) {
			if answer.RetryAfter == nil {
				return err
			}
			pause = *answer.RetryAfter
		}
		if !sleep(ctx, pause) {
			return ctx.Err()
		}
	}
	return err
}
