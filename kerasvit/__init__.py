from kerasvit.models import CaiT as CaiT
from kerasvit.models import VisionTransformer as VisionTransformer


def create_model(name, **kw):
    kw.setdefault('num_classes',10)
    return CaiT(image_shape=(32,32,3),patch_size=4,name=name,**{**SPEC,**kw})
SPEC=dict(hidden_dim=96,num_layers=6,num_class_layers=2,num_heads=4,mlp_dim=384,layer_scale_init_value=0.1)
