// npm run site: builds site/dist from the pages of this repository.
import { runInSite } from './site-packages.ts'

runInSite('build')
