// A picture on both sides of a plane, for NiceGUI's ui.scene. Its own ui.scene.texture shades
// and blurs a picture, and drops the next one while it loads one.
import { THREE } from "nicegui-scene";

export default class Plane {
  create_mesh(side, url) {
    this.side = side; // the longer one
    const material = new THREE.MeshBasicMaterial({ side: THREE.DoubleSide });
    this.mesh = new THREE.Mesh(new THREE.PlaneGeometry(side, side), material);
    this.show(url);
    return this.mesh;
  }

  async show(url) {
    this.latest = url;
    const texture = await new THREE.TextureLoader().loadAsync(url);
    if (url !== this.latest) return; // a later picture was faster
    texture.colorSpace = THREE.SRGBColorSpace;
    texture.magFilter = THREE.NearestFilter;
    this.mesh.material.map?.dispose();
    this.mesh.material.map = texture;
    this.mesh.material.needsUpdate = true;
    const { width, height } = texture.image;
    const pixel = this.side / Math.max(width, height);
    this.mesh.geometry.dispose();
    this.mesh.geometry = new THREE.PlaneGeometry(pixel * width, pixel * height);
  }
}
