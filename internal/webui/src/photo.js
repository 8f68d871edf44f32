// Photos are made small before they are kept: drawn anew on a canvas, which
// leaves out all that the camera wrote beside the picture (EXIF: place, device,
// person), and encoded until they fit.
const most = 200 * 1024; // bytes
const longest = 1600; // pixels of the longer side at first
const largest = 60e6; // pixels that are decoded at all

export class PhotoError extends Error {}

// shrink makes a JPEG of at most 200 kB of a picture file.
export async function shrink(file) {
	const bitmap = await createImageBitmap(file, { imageOrientation: 'from-image' }).catch(() => {
		throw new PhotoError('broken');
	});
	if (bitmap.width * bitmap.height > largest) {
		bitmap.close();
		throw new PhotoError('large');
	}
	try {
		for (let side = longest; side >= 320; side = Math.round(side * 0.8)) {
			const scale = Math.min(1, side / Math.max(bitmap.width, bitmap.height));
			const canvas = document.createElement('canvas');
			canvas.width = Math.max(1, Math.round(bitmap.width * scale));
			canvas.height = Math.max(1, Math.round(bitmap.height * scale));
			const ctx = canvas.getContext('2d');
			ctx.fillStyle = '#fff';
			ctx.fillRect(0, 0, canvas.width, canvas.height);
			ctx.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
			for (const quality of [0.82, 0.7, 0.55]) {
				const blob = await new Promise((done) => canvas.toBlob(done, 'image/jpeg', quality));
				if (blob && blob.size <= most) {
					return blob;
				}
			}
		}
	} finally {
		bitmap.close();
	}
	throw new PhotoError('large');
}
