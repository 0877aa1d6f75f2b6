/** Keeps what is secret out of the report, wherever it may have come from: an error of a provider may quote it. */
export interface Secrets {
  /** Remembers a secret from now on. */
  add(secret: unknown): void
  /**
   * A copy of plain data with every known secret, and all that looks like a part of a signed request, taken out of its texts. What is
   * undefined is left out, as JSON would.
   */
  hideIn<Data>(data: Data): Data
}

/** A text that short is no secret, and would take words apart. */
const minLength = 6

export function createSecrets(): Secrets {
  const secrets = new Set<string>()

  const hide = (text: string): string => {
    let hidden = text
    for (const secret of secrets) hidden = hidden.replaceAll(secret, '…')
    return hidden
      .replace(/Action=connect&[^\s"'`]*/gi, 'Action=connect&…')
      .replace(/(X-Amz-(?:Signature|Security-Token))=[^&\s"'`]*/gi, '$1=…')
  }

  const hideIn = (data: unknown): unknown => {
    if (typeof data === 'string') return hide(data)
    if (Array.isArray(data)) return data.map(hideIn)
    if (typeof data !== 'object' || data === null) return data
    const entries = Object.entries(data).filter(([, value]) => value !== undefined)
    return Object.fromEntries(entries.map(([name, value]) => [name, hideIn(value)]))
  }

  return {
    add(secret) {
      if (typeof secret !== 'string' || secret.length < minLength) return
      for (const text of [secret, encodeURIComponent(secret), JSON.stringify(secret).slice(1, -1)])
        secrets.add(text)
    },
    hideIn: <Data>(data: Data) => hideIn(data) as Data,
  }
}
