/** Keeps secrets out of the report, wherever they come from: an error of a provider may quote one. */
export interface Secrets {
  /** Adds a secret to those that are hidden. */
  add(secret: unknown): void
  /**
   * Copies plain data, and puts `…` in place of every known secret and of everything that looks like a part
   * of a signed request. Properties that are `undefined` are left out, as in JSON.
   */
  hideIn<Data>(data: Data): Data
}

/** A shorter text is no secret, and hiding it would tear words apart. */
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
