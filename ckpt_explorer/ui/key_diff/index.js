/* The component: one view a place on the page. Streamlit calls it at first and whenever the data changed. */

const views = new WeakMap();

export default function (component) {
  const root = component.parentElement;
  let view = views.get(root);
  if (!view) views.set(root, (view = new View(root)));
  view.c = component;
  view.guarded(() => view.show(component.data));
  return () => {
    view.close();
    views.delete(root);
  };
}
