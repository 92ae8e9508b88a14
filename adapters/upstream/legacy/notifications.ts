// What a server says without being asked: progress and log messages go to the call they belong to, everything else is told to whoever
// listens, bounded in size and number. What no revision knows, or is more than anybody can look at, is dropped and counted.

import { isJsonObject, type Json, type JsonObject } from '../../../domain/json.ts';
import type { Notice } from '../../../proxy/tool-server.ts';
import type { UpstreamLimits } from '../limits.ts';
import type { DroppedCounts } from '../ports.ts';
import type { OpenRequests } from './open-requests.ts';
import { Rate } from './rate.ts';

/** What such a notice is about, by the member that says so. */
const ABOUT: Readonly<Record<string, string>> = {
  'notifications/resources/updated': 'uri',
  'notifications/tasks/status': 'taskId',
  'notifications/elicitation/complete': 'elicitationId',
};
const LISTS: readonly string[] = ['notifications/prompts/list_changed', 'notifications/resources/list_changed'];

export interface NotificationsOptions {
  readonly limits: UpstreamLimits;
  readonly requests: OpenRequests;
  readonly dropped: DroppedCounts;
  readonly nowMs: () => number;
  readonly onNotice: (notice: Notice) => void;
  readonly onToolsChanged: () => void;
  /** The server withdraws a request of its own. */
  readonly onCancelled: (params: JsonObject) => void;
}

export interface Notification {
  readonly method: string;
  readonly params: Json | undefined;
  /** Of the whole message. */
  readonly bytes: number;
  readonly exchange: number | undefined;
}

export class Notifications {
  readonly #options: NotificationsOptions;
  /** For what belongs to no call. */
  readonly #logs: Rate;
  readonly #notices: Rate;
  /** Lists whose change was told a moment ago, and whether they changed again since. */
  readonly #told = new Map<string, { again: boolean }>();

  constructor(options: NotificationsOptions) {
    this.#options = options;
    this.#logs = new Rate(options.limits.logsPerSecondMax, options.nowMs);
    this.#notices = new Rate(options.limits.noticesPerSecondMax, options.nowMs);
  }

  receive(notification: Notification): void {
    const { method } = notification;
    const params = isJsonObject(notification.params ?? {}) ? ((notification.params ?? {}) as JsonObject) : undefined;
    const { dropped, onToolsChanged, onCancelled } = this.#options;
    if (method === 'notifications/tools/list_changed') return onToolsChanged();
    if (LISTS.includes(method)) return this.listChanged(method);
    if (method === 'notifications/progress') {
      if (params === undefined || !this.#progress(params, notification)) dropped.progress++;
      return;
    }
    if (method === 'notifications/cancelled' && params !== undefined) return onCancelled(params);
    const passed =
      params !== undefined &&
      (method === 'notifications/message'
        ? this.#log(params, notification)
        : this.#notice(method, params, notification.bytes));
    if (!passed) dropped.notifications++;
  }

  /** Told at once, and of all changes in the moment after together: the last one is never lost. */
  listChanged(method: string): void {
    const told = this.#told.get(method);
    if (told !== undefined) {
      told.again = true;
      return;
    }
    const now = { again: false };
    this.#told.set(method, now);
    this.#options.onNotice({ method, params: {} });
    setTimeout(() => {
      this.#told.delete(method);
      if (now.again) this.listChanged(method);
    }, this.#options.limits.listIntervalMs).unref();
  }

  #progress(params: JsonObject, { bytes }: Notification): boolean {
    const { progressToken: token } = params;
    const { limits, requests } = this.#options;
    const call = typeof token === 'string' ? requests.withToken(token) : undefined;
    return call !== undefined && bytes <= limits.progressBytesMax && call.progress.offer(params);
  }

  #log(params: JsonObject, { bytes, exchange }: Notification): boolean {
    if (bytes > this.#options.limits.logBytesMax || typeof params.level !== 'string') return false;
    const call = this.#options.requests.spokenFor(exchange);
    if (!(call?.logs ?? this.#logs).take()) return false;
    if (call === undefined) this.#options.onNotice({ method: 'notifications/message', params });
    else call.hooks.onLog(params);
    return true;
  }

  #notice(method: string, params: JsonObject, bytes: number): boolean {
    const about = Object.hasOwn(ABOUT, method) ? ABOUT[method] : undefined;
    if (about === undefined || typeof params[about] !== 'string') return false;
    if (bytes > this.#options.limits.noticeBytesMax || !this.#notices.take()) return false;
    this.#options.onNotice({ method, params });
    return true;
  }
}
