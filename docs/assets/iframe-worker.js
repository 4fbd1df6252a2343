/* Search without a server: browsers refuse workers of file:// pages, so an iframe runs the script. */
if (location.protocol === "file:")
  window.Worker = window.IFrameWorker = class extends EventTarget {
    constructor(address) {
      super()
      const frame = document.createElement("iframe")
      frame.hidden = true
      document.body.append(frame)
      const inside = frame.contentWindow
      const load = (url) =>
        new Promise((done, failed) => {
          const script = frame.contentDocument.createElement("script")
          script.src = new URL(url, document.baseURI).href
          script.onload = done
          script.onerror = failed
          frame.contentDocument.body.append(script)
        })
      inside.importScripts = (...urls) => urls.reduce((before, url) => before.then(() => load(url)), Promise.resolve())
      inside.postMessage = (data) => this.dispatchEvent(new MessageEvent("message", { data }))
      this.ready = load(address)
      this.inside = inside
    }
    postMessage(data) {
      this.ready.then(() => this.inside.dispatchEvent(new MessageEvent("message", { data })))
    }
    terminate() {}
  }
