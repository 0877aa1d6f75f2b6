import assert from 'node:assert/strict'
import { once } from 'node:events'
import { Duplex, PassThrough } from 'node:stream'
import { describe, it } from 'node:test'
import { join, PeerGone, readExactly } from '../../src/wire/bytes.ts'

/** A socket whose writes are done when the test says so. */
class Slow extends Duplex {
  written = ''
  release = (): void => {}
  override _read(): void {}
  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.release = () => {
      this.written += chunk
      done()
    }
  }
  destroySoon(): void {
    this.end()
    if (this.writableFinished) this.destroy()
    else this.once('finish', () => this.destroy())
  }
}

describe('two joined sockets', () => {
  it('end in order: what was written before the end still arrives', async () => {
    const [left, right] = [new Slow(), new Slow()]
    join(left, right)
    left.push('last words')
    left.push(null)
    await once(left, 'end')
    left.destroy()
    await once(left, 'close')
    assert.equal(right.destroyed, false)
    right.release()
    await once(right, 'close')
    assert.equal(right.written, 'last words')
  })

  it('break together', async () => {
    const [left, right] = [new Slow(), new Slow()]
    join(left, right)
    left.on('error', () => {}).destroy(new Error('reset'))
    await once(right, 'close')
    assert.equal(right.writableFinished, false)
  })

  it('end at once where one had broken before', async () => {
    const [left, right] = [new Slow(), new Slow()]
    right.destroy()
    await once(right, 'close')
    join(left, right)
    if (!left.destroyed) await once(left, 'close')
    assert.equal(left.destroyed, true)
  })
})

describe('reading so many bytes', () => {
  it('leaves what follows in the stream', async () => {
    const stream = new PassThrough()
    stream.write('one')
    const reading = readExactly(stream, 5)
    stream.write('twothree')
    assert.equal((await reading).toString(), 'onetw')
    assert.equal((await readExactly(stream, 1)).toString(), 'o')
    assert.equal(stream.read().toString(), 'three')
    assert.equal(stream.listenerCount('readable'), 0)
  })

  it('rejects where the stream ends, breaks, or has ended before', async () => {
    const ending = new PassThrough()
    const tooFew = readExactly(ending, 5)
    ending.end('four')
    await assert.rejects(tooFew, PeerGone)
    await assert.rejects(readExactly(ending, 1), PeerGone)
    const breaking = new PassThrough()
    const broken = readExactly(breaking, 1)
    breaking.destroy()
    await assert.rejects(broken, PeerGone)
    await assert.rejects(readExactly(breaking, 1), PeerGone)
  })
})
