/**
 * A program of a session as a WebSocket: GET /v1/sessions/:id/processes/:process/attach?offset=0.
 *
 * From the program: texts are events in JSON, as Server-Sent Events have them, but for the output itself, which comes as
 * bytes: 1 stdout, 2 stderr or 3 pty, and then what was written. Output begins at `offset`, or behind what an event `dropped`
 * says, and its bytes add up to the position by which one attaches again.
 *
 * To the program: bytes are its input. Texts in JSON are {"type":"resize","columns":80,"rows":24},
 * {"type":"signal","signal":"SIGINT"} and {"type":"end"}, which closes stdin.
 */
import type { Logger } from "pino";
import { WebSocket } from "ws";
import { z } from "zod";
import type { Access } from "../api/access/access.ts";
import { invalidInput, Problem } from "../api/http/problem.ts";
import { processEvents } from "../api/processEvents.ts";
import { eventJson, numberOf, SignalBody, SizeBody } from "../api/processJson.ts";
import { AttachQuery, processId } from "../api/processQuery.ts";
import type { RunningSession, SessionPods } from "../api/sessionPods.ts";
import type { ProcessEvent } from "../pod/gen/berth/v1/process_pb.ts";
import { closeWith, keepAlive, notUnderstoodCode } from "./bridge.ts";
import { perSession, perTenant } from "./socketLimits.ts";
import type { Admitted, Gateway, UpgradeRequest } from "./webSockets.ts";
