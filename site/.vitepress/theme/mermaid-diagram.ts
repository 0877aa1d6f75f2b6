import { useData } from 'vitepress'
import { defineComponent, h, onMounted, ref, useId, watch } from 'vue'

/** A diagram, drawn once it is on the page, and again where light and dark change. */
export const MermaidDiagram = defineComponent({
  props: { code: { type: String, required: true } },
  setup(props) {
    const { isDark } = useData()
    const svg = ref('')
    const id = `diagram-${useId()}`
    async function draw(): Promise<void> {
      const { default: mermaid } = await import('mermaid')
      const theme = isDark.value ? 'dark' : 'default'
      mermaid.initialize({ startOnLoad: false, securityLevel: 'strict', theme })
      svg.value = (await mermaid.render(id, decodeURIComponent(props.code))).svg
    }
    onMounted(draw)
    watch(isDark, draw)
    return () => h('div', { class: 'diagram', style: 'overflow-x: auto', innerHTML: svg.value })
  },
})
