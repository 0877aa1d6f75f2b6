// The built site, in a real browser. Where no Chromium is installed, this is skipped.
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { after, before, test } from 'node:test'
import { type Browser, chromium, type Page } from 'playwright-core'
import { pages, placeOf } from '../pages.ts'
import { serve } from './serve.ts'

const dist = join(import.meta.dirname, '..', 'dist')
const executable = ['chromium', 'chromium-browser', 'google-chrome']
  .flatMap(name => (process.env.PATH ?? '').split(delimiter).map(folder => join(folder, name)))
  .find(existsSync)
const skip = executable === undefined && 'there is no chromium in the PATH'

const addresses = pages.map(page => `/${placeOf(page).replace(/\.md$/, '.html')}`)
const phone = { width: 375, height: 667 }
const desk = { width: 1280, height: 800 }

let site: Awaited<ReturnType<typeof serve>>
let browser: Browser

before(async () => {
  if (executable === undefined) return
  assert.ok(existsSync(dist), 'there is no site/dist: npm run site makes it')
  site = await serve(dist)
  // Chromium has no sandbox for root.
  browser = await chromium.launch({ executablePath: executable, chromiumSandbox: process.getuid?.() !== 0 })
})

after(async () => {
  await browser?.close()
  await site?.close()
})

/** A new page of the browser, and what is wrong with all that it is shown. */
async function open(viewport: typeof desk): Promise<{ page: Page; problems: string[] }> {
  const page = await browser.newPage({ viewport })
  // For a machine that is busy.
  page.setDefaultTimeout(60_000)
  const problems: string[] = []
  const say = (problem: string) => problems.push(`${new URL(page.url()).pathname}: ${problem}`)
  page.on('console', message => message.type() === 'error' && say(message.text()))
  page.on('pageerror', error => say(String(error)))
  page.on('response', response => response.ok() || say(`${response.status()} of ${response.url()}`))
  await page.route(
    url => url.origin !== site.url,
    route => {
      say(`asks for ${route.request().url()}`)
      return route.abort()
    },
  )
  return { page, problems }
}

/** What the browser has of a page. */
interface Seen {
  readonly address: string
  readonly heading: string
  readonly text: string
  readonly missingPictures: number
  readonly ids: readonly string[]
  readonly links: readonly URL[]
  readonly widths: { readonly desk: number; readonly phone: number }
}

/** Every page of the site, looked at once. */
async function lookAtAll(): Promise<{
  readonly seen: readonly Seen[]
  readonly problems: readonly string[]
}> {
  const { page, problems } = await open(desk)
  const seen: Seen[] = []
  const measureWidth = () => page.evaluate(() => document.documentElement.scrollWidth)
  for (const address of addresses) {
    await page.setViewportSize(desk)
    await page.goto(site.url + address, { waitUntil: 'networkidle' })
    const { hrefs, ...found } = await page.evaluate(() => ({
      heading: document.querySelector('main h1')?.textContent ?? '',
      text: document.querySelector('main')?.textContent ?? '',
      missingPictures: [...document.images].filter(({ naturalWidth }) => naturalWidth === 0).length,
      ids: [...document.querySelectorAll('[id]')].map(({ id }) => id),
      hrefs: [...document.querySelectorAll<HTMLAnchorElement>('a[href]')].map(({ href }) => href),
    }))
    const atDesk = await measureWidth()
    await page.setViewportSize(phone)
    const widths = { desk: atDesk, phone: await measureWidth() }
    seen.push({ address, ...found, links: hrefs.map(href => new URL(href)), widths })
  }
  await page.close()
  return { seen, problems }
}

let all: Awaited<ReturnType<typeof lookAtAll>>

test('every page renders, and complains of nothing', { skip }, async () => {
  all = await lookAtAll()
  assert.deepEqual(all.problems, [])
  for (const { address, heading, text, missingPictures } of all.seen) {
    assert.ok(heading.length > 1, `${address} has no heading`)
    assert.ok(text.length > 100, `${address} says nothing`)
    assert.equal(missingPictures, 0, `${address} lacks pictures`)
  }
})

test('every page fits into the width of a desk and of a phone', { skip }, () => {
  for (const { address, widths } of all.seen) {
    assert.ok(widths.desk <= desk.width, `${address} is ${widths.desk} wide`)
    assert.ok(widths.phone <= phone.width, `${address} is ${widths.phone} wide on a phone`)
  }
})

test('no link of the site is dead, and none leads to a heading that is not there', { skip }, () => {
  const anchors = new Map(all.seen.map(({ address, ids }) => [address, ids]))
  let count = 0
  for (const { address, links } of all.seen) {
    for (const { origin, pathname, hash } of links) {
      if (origin !== site.url) continue
      count += 1
      const ids = anchors.get(pathname.replace(/\/$/, '/index.html'))
      assert.ok(ids, `${address} leads to ${pathname}, which is not there`)
      if (hash !== '')
        assert.ok(ids.includes(decodeURIComponent(hash.slice(1))), `${address} leads to ${pathname}${hash}`)
    }
  }
  assert.ok(count > 1_000, `${count} links`)
})

test('the sidebar has the order of the index, and leads through the site', { skip }, async () => {
  const { page, problems } = await open(desk)
  await page.goto(`${site.url}/`)
  const hrefs = (selector: string) =>
    page.locator(selector).evaluateAll(links => links.map(link => (link as HTMLAnchorElement).pathname))
  const inSidebar = await hrefs('aside a.link')
  await page.locator('aside a.link', { hasText: 'Set up AWS' }).click()
  await page.waitForURL('**/docs/set-up-aws.html')
  await page.goto(`${site.url}/docs/`)
  const inIndex = (await hrefs('main li a')).filter(path => path !== '/')
  assert.deepEqual(inSidebar.slice(2), inIndex)
  assert.deepEqual(problems, [])
  await page.close()
})

for (const [name, viewport] of Object.entries({ phone, desk })) {
  test(`search on a ${name} finds a page by its words, and leads there`, { skip }, async () => {
    const { page, problems } = await open(viewport)
    await page.goto(`${site.url}/`, { waitUntil: 'networkidle' })
    await page.locator('#local-search button').click()
    await page.locator('input[type=search]').fill('RDS_IAM_ACCESS_DENIED')
    await page.locator('.results a[href*="/docs/errors.html#rds_iam_access_denied"]').first().click()
    await page.waitForURL('**/docs/errors.html#rds_iam_access_denied')
    await page.getByRole('heading', { name: 'RDS_IAM_ACCESS_DENIED' }).waitFor()
    assert.deepEqual(problems, [])
    await page.close()
  })
}

for (const colorScheme of ['light', 'dark'] as const) {
  test(`the diagram of the start page is drawn in ${colorScheme} colours`, { skip }, async () => {
    const { page, problems } = await open(desk)
    await page.emulateMedia({ colorScheme })
    await page.goto(`${site.url}/`)
    await page.locator('.diagram svg', { hasText: 'Cold start' }).waitFor()
    assert.deepEqual(problems, [])
    await page.close()
  })
}
