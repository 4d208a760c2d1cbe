import axios from 'axios'

import { getToken, removeToken } from './auth'

// Always the page's own host: in the browser the name of the backend's container means nothing.
const api = axios.create({ baseURL: '/api', timeout: 60000 })

api.interceptors.request.use((config) => {
  const token = getToken()
  if (token) config.headers.Authorization = `Bearer ${token}`
  return config
})

api.interceptors.response.use(undefined, (error) => {
  if (error.response?.status === 401 && typeof window !== 'undefined') {
    removeToken()
    window.location.assign('/admin/login')
  }
  return Promise.reject(error)
})

export default api
