/**
 * The part of noVNC's class RFB that the page uses. The page imports noVNC's files unchanged from the npm package
 * @novnc/novnc.
 */
declare module "*/novnc/core/rfb.js" {
  interface Events {
    connect: CustomEvent;
    disconnect: CustomEvent<{ clean: boolean }>;
    clipboard: CustomEvent<{ text: string }>;
    securityfailure: CustomEvent<{ status: number; reason?: string }>;
  }
  export default class RFB {
    constructor(target: HTMLElement, channel: WebSocket, options?: { shared?: boolean });
    scaleViewport: boolean;
    background: string;
    viewOnly: boolean;
    focus(): void;
    clipboardPasteFrom(text: string): void;
    disconnect(): void;
    addEventListener<K extends keyof Events>(type: K, listener: (event: Events[K]) => void): void;
  }
}
